/** Sign-in and sign-up. */
import type { Session } from "../session.ts";
import { useStore } from "../store.ts";
import { Field, Form, NewPassword } from "./Form.tsx";
import { Frame, Link } from "./Frame.tsx";

export function SignIn({ session }: { session: Session }) {
  const { reason, features } = useStore(session);
  return (
    <Frame title="Sign in">
      {reason && <p role="status" class="done">{reason}</p>}
      <Form submit="Sign in" action={({ email = "", password = "" }) => session.signIn(email, password)}>
        <Field label="E-mail" name="email" type="email" autocomplete="username" focus />
        <Field label="Password" name="password" type="password" autocomplete="current-password" />
      </Form>
      {features.mail && (
        <p class="aside">
          <Link href="/forgot-password">Forgot your password?</Link>
        </p>
      )}
      {features.signUp && (
        <p class="aside">
          New here? <Link href="/sign-up">Create an account</Link>
        </p>
      )}
    </Frame>
  );
}

export function SignUp({ session }: { session: Session }) {
  const { features } = useStore(session);
  return (
    <Frame title="Create your account">
      {features.signUp ? (
        <Form
          submit="Create account"
          action={({ name = "", email = "", "new-password": password = "" }) => session.signUp(name, email, password)}
        >
          <Field label="Name" name="name" autocomplete="name" maxLength={100} focus />
          <Field label="E-mail" name="email" type="email" autocomplete="username" />
          <NewPassword />
        </Form>
      ) : (
        <p>New accounts cannot be created here.</p>
      )}
      <p class="aside">
        You have an account? <Link href="/sign-in">Sign in</Link>
      </p>
    </Frame>
  );
}
