/** The account: change password, sign out, delete. */
import { useState } from "preact/hooks";
import type { Session, User } from "../session.ts";
import { sentence } from "../errors.ts";
import { Field, Form, NewPassword } from "./Form.tsx";
import { Frame } from "./Frame.tsx";

interface Props {
  session: Session;
  user: User;
  /** Whether a sign-out would lose changes. */
  hasUnsent: () => boolean;
}

export function Account({ session, user, hasUnsent }: Props) {
  const [message, setMessage] = useState<string>();
  const act = (action: Promise<void>, done?: string): void => {
    action.then(
      () => setMessage(done),
      (error: unknown) => setMessage(sentence(error)),
    );
  };
  const signOut = () => {
    if (!hasUnsent() || confirm("Some changes are not saved yet. Sign out and lose them?")) act(session.signOut());
  };
  return (
    <Frame title="Account" back>
      <section class="identity">
        <span class="avatar large" aria-hidden="true">
          {initial(user.name)}
        </span>
        <div>
          <p class="name">{user.name}</p>
          <p class="hint">{user.email}</p>
        </div>
        <button type="button" class="button" onClick={signOut}>
          Sign out
        </button>
      </section>
      <p role="status" class="done" hidden={!message}>
        {message}
      </p>
      {session.features.mail && !user.emailVerified && (
        <section>
          <h2>Confirm your e-mail address</h2>
          <p class="hint">Open the link in the e-mail that was sent to {user.email}.</p>
          <button type="button" class="button" onClick={() => act(session.sendVerification(), "The e-mail is on its way.")}>
            Send it again
          </button>
        </section>
      )}
      <section>
        <h2>Change password</h2>
        <Form
          submit="Change password"
          action={({ "current-password": current = "", "new-password": next = "" }) => session.changePassword(current, next)}
          done="Your password is changed, and your other sessions are signed out."
        >
          <input type="email" autocomplete="username" value={user.email} hidden readOnly />
          <Field label="Current password" name="current-password" type="password" autocomplete="current-password" />
          <NewPassword label="New password" />
        </Form>
      </section>
      <section>
        <h2>Delete account</h2>
        <p class="hint">Deletes your account and all your tasks, at once and for good.</p>
        <details>
          <summary class="button danger">Delete account …</summary>
          <Form submit="Delete account and all tasks" danger action={({ password = "" }) => session.deleteAccount(password)}>
            <input type="email" autocomplete="username" value={user.email} hidden readOnly />
            <Field label="Password" name="password" type="password" autocomplete="current-password" />
          </Form>
        </details>
      </section>
    </Frame>
  );
}

export function initial(name: string): string {
  return ([...name.trim()][0] ?? "?").toUpperCase();
}
