/** Forms of accounts: labelled fields, one message, one button. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem, sentence } from "../errors.ts";

export const PASSWORD_MIN_LENGTH = 12;

const SENTENCES: Record<string, string> = {
  INVALID_EMAIL_OR_PASSWORD: "The e-mail address or the password is wrong.",
  INVALID_PASSWORD: "The password is wrong.",
  USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL: "There is an account with this e-mail address. Sign in instead.",
  EMAIL_PASSWORD_SIGN_UP_DISABLED: "New accounts cannot be created here.",
  INVALID_TOKEN: "This link has expired or was used before. Request a new one.",
  PASSWORD_TOO_SHORT: `The password needs at least ${PASSWORD_MIN_LENGTH} characters.`,
};

interface FormProps {
  submit: string;
  /** Receives the fields by name. */
  action: (fields: Record<string, string>) => Promise<void>;
  /** Shown after success, in place of the fields. */
  done?: ComponentChildren;
  danger?: boolean;
  children: ComponentChildren;
}

export function Form({ submit, action, done, danger, children }: FormProps) {
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [isDone, setDone] = useState(false);
  const message = useRef<HTMLParagraphElement>(null);

  const onSubmit = async (form: HTMLFormElement): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      await action(Object.fromEntries(new FormData(form)) as Record<string, string>);
      setDone(done !== undefined);
    } catch (error) {
      setProblem((error instanceof Problem && error.code && SENTENCES[error.code]) || sentence(error));
      message.current?.focus();
    } finally {
      setBusy(false);
    }
  };
  if (isDone) return <p role="status" class="done">{done}</p>;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void onSubmit(event.currentTarget);
      }}
    >
      <p role="alert" class="problem" ref={message} tabIndex={-1} hidden={!problem}>
        {problem}
      </p>
      {children}
      <button type="submit" class={danger ? "button danger" : "button primary"} aria-disabled={busy}>
        {submit}
      </button>
    </form>
  );
}

interface FieldProps {
  label: string;
  name: string;
  type?: "text" | "email" | "password";
  autocomplete: string;
  minLength?: number;
  maxLength?: number;
  hint?: string;
  value?: string;
  focus?: boolean;
}

export function Field({ label, name, type = "text", hint, focus, value, ...rest }: FieldProps) {
  const [shown, setShown] = useState(false);
  const hintId = `${name}-hint`;
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (focus) input.current?.focus();
  }, []);
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <div class="input">
        <input
          id={name}
          name={name}
          type={shown ? "text" : (type as "text")}
          required
          defaultValue={value ?? ""}
          ref={input}
          {...(hint && { "aria-describedby": hintId })}
          {...(type === "email" && { autocapitalize: "none", spellcheck: false })}
          {...rest}
        />
        {type === "password" && (
          <button type="button" class="reveal" aria-pressed={shown} onClick={() => setShown(!shown)}>
            {shown ? "Hide" : "Show"}
            <span class="sr-only"> {label.toLowerCase()}</span>
          </button>
        )}
      </div>
      {hint && (
        <p class="hint" id={hintId}>
          {hint}
        </p>
      )}
    </div>
  );
}

export function NewPassword({ label = "Password" }: { label?: string }) {
  return (
    <Field
      label={label}
      name="new-password"
      type="password"
      autocomplete="new-password"
      minLength={PASSWORD_MIN_LENGTH}
      maxLength={128}
      hint={`At least ${PASSWORD_MIN_LENGTH} characters. A few random words are easy to remember.`}
    />
  );
}
