/** Reset of a forgotten password, by a link in an e-mail. */
import type { Session } from "../session.ts";
import { Field, Form, NewPassword } from "./Form.tsx";
import { Frame, Link } from "./Frame.tsx";

export function ForgotPassword({ session }: { session: Session }) {
  return (
    <Frame title="Reset your password">
      {session.features.mail ? (
        <Form
          submit="Send link"
          action={({ email = "" }) => session.requestPasswordReset(email)}
          done="If there is an account with this address, a link to choose a new password is on its way."
        >
          <Field label="E-mail" name="email" type="email" autocomplete="username" focus />
        </Form>
      ) : (
        <p>This site sends no e-mail. Ask its operator for help.</p>
      )}
      <p class="aside">
        <Link href="/sign-in">Back to sign-in</Link>
      </p>
    </Frame>
  );
}

export function ResetPassword({ session }: { session: Session }) {
  // In the fragment, which browsers send to no server.
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  return (
    <Frame title="Choose a new password">
      <Form
        submit="Save password"
        action={({ "new-password": password = "" }) => session.resetPassword(token, password)}
        done="Your password is changed, and every session is signed out."
      >
        <NewPassword label="New password" />
      </Form>
      <p class="aside">
        <Link href="/sign-in">Sign in</Link>
      </p>
    </Frame>
  );
}
