/** E-mails: password reset and verification of the address. */
import { createTransport } from "nodemailer";
import { describe, log } from "./observability.ts";
import type { Mail } from "./settings.ts";

export interface Mailer {
  send(to: string, subject: string, text: string): void;
}

/** Sends in the background: the time of a response must not tell whether an address is known. */
export function createMailer(mail: Mail): Mailer {
  const transport = createTransport({ url: mail.url, connectionTimeout: 10_000, socketTimeout: 20_000 });
  return {
    send(to, subject, text) {
      transport.sendMail({ from: mail.from, to, subject, text }).then(
        () => log("info", "e-mail sent"),
        (error: unknown) => log("error", "e-mail not sent", describe(error)),
      );
    },
  };
}
