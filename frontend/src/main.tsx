/** Selects the page and keeps the store of the user who is signed in. */
import { type ComponentChildren, render } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { taskApi } from "./api.ts";
import { Account } from "./pages/Account.tsx";
import { Guarded } from "./pages/Guarded.ts";
import { ForgotPassword, ResetPassword } from "./pages/Password.tsx";
import { SignIn, SignUp } from "./pages/SignIn.tsx";
import { TaskList } from "./pages/TaskList.tsx";
import { Frame } from "./pages/Frame.tsx";
import { router } from "./router.ts";
import { readBoot, Session, type User } from "./session.ts";
import { useStore } from "./store.ts";
import { type Surroundings, TaskStore } from "./tasks.ts";
import "./style.css";

const session = new Session(readBoot());

const surroundings: Surroundings = {
  isOnline: () => navigator.onLine,
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    return () => clearTimeout(timer);
  },
  now: () => performance.now(),
  signedOut: () => session.user && session.leave("Your session has ended. Sign in again to continue; what you typed is kept."),
  accountChanged: () => location.reload(),
};

session.leaving = () => kept?.store.flush();

/** Where the next sign-in leads: the page that the sign-in page has replaced, unless the sign-out was on purpose. */
let wanted = "/";
let wasSignedIn = false;

let kept: { userId: string; store: TaskStore } | undefined;

/** The store outlives a sign-out by expiry, so that nothing typed is lost when the same user signs in again. */
function storeOf(user: User): TaskStore {
  wasSignedIn = true;
  if (kept?.userId !== user.id) {
    if (kept) wanted = "/";
    kept = { userId: user.id, store: new TaskStore(taskApi(user.id, session.tokens), user.id, surroundings) };
  } else {
    kept.store.retryAll();
  }
  return kept.store;
}

addEventListener("pagehide", () => kept?.store.flush());
addEventListener("beforeunload", (event) => {
  if (session.user && kept?.store.hasUnsent) event.preventDefault();
});

const SIGNED_OUT_PATHS = new Set(["/sign-in", "/sign-up", "/forgot-password", "/reset-password"]);

function App() {
  const { user } = useStore(session);
  const { path } = useStore(router);
  const store = useMemo(() => (user ? storeOf(user) : undefined), [user?.id]);
  const redirect =
    user === null && (path === "/" || path === "/account") ? "/sign-in" : user && SIGNED_OUT_PATHS.has(path) ? wanted : undefined;
  useEffect(() => {
    if (user === null && session.reason === undefined) kept = undefined; // signed out on purpose
    if (redirect === "/sign-in") wanted = !wasSignedIn || (session.reason && path === "/") ? location.pathname + location.search : "/";
    if (redirect) router.go(redirect, true);
  }, [user, redirect]);

  if (user === undefined) return <Unavailable />;
  if (redirect) return null;
  if (user === null) {
    switch (path) {
      case "/sign-up":
        return <SignUp session={session} />;
      case "/forgot-password":
        return <ForgotPassword session={session} />;
      case "/reset-password":
        return <ResetPassword session={session} />;
      case "/sign-in":
        return <SignIn session={session} />;
    }
  } else if (store && path === "/") {
    return <TaskList store={store} user={user} />;
  } else if (path === "/account") {
    return <Account session={session} user={user} hasUnsent={() => !!store?.hasUnsent} />;
  }
  return (
    <Frame title="Page not found">
      <p>There is no page at this address.</p>
      <p>
        <a class="button primary" href="/">
          Go to your tasks
        </a>
      </p>
    </Frame>
  );
}

function Unavailable() {
  return (
    <Frame title="One moment">
      <p role="status">The service does not respond. You are still signed in; this page tries again every few seconds.</p>
    </Frame>
  );
}

class Root extends Guarded<{ children: ComponentChildren }> {
  override render({ children }: { children: ComponentChildren }) {
    if (!this.state.broken) return children;
    return (
      <Frame title="Something went wrong">
        <p>This page has an error. What was saved is not affected.</p>
        <p>
          <a class="button primary" href="/">
            Reload
          </a>
        </p>
      </Frame>
    );
  }
}

/** During a rollout the style sheet may be missing where the script is not; server/app.ts does the same without a script.
 * @returns Whether the page loads again. */
function reloadsForStyle(): boolean {
  const isStyled = getComputedStyle(document.documentElement).getPropertyValue("--accent") !== "";
  const reloads = (history.state as { reloads?: number } | null)?.reloads ?? 0;
  if (isStyled || reloads >= 10) return false;
  history.replaceState({ reloads: reloads + 1 }, "");
  setTimeout(() => location.reload(), 1000);
  return true;
}

const root = document.getElementById("app");
if (root && !reloadsForStyle())
  render(
    <Root>
      <App />
    </Root>,
    root,
  );
