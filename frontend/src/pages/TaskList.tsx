/** The list: add, filter, search, sort, undo. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { router } from "../router.ts";
import { PRIORITIES, quoted } from "../fields.ts";
import type { User } from "../session.ts";
import { useStore } from "../store.ts";
import type { TaskStore } from "../tasks.ts";
import { listQuery, readView, SORTS, STATUSES, type SortName, type Status, type View, viewUrl } from "../view.ts";
import { initial } from "./Account.tsx";
import { Link, Mark, useTitle } from "./Frame.tsx";
import { Help } from "./Help.tsx";
import { focusFilters, undo, useShortcuts } from "./shortcuts.ts";
import { TaskRow } from "./TaskRow.tsx";

const SEARCH_PAUSE_MS = 200;

export function TaskList({ store, user }: { store: TaskStore; user: User }) {
  useStore(store);
  const view = readView(useStore(router).query);
  const online = useOnline(store);
  useTitle("Tasks");
  useEffect(() => void store.load(listQuery(view)), [store, viewUrl(view)]);
  useShortcuts(store);
  // The view of the address: a timer or a row that was not rendered again since may be older than this one.
  const show = (change: Partial<View>, replace = false) => router.go(viewUrl({ ...readView(router.query), ...change }), replace);
  const showMore = (change: Partial<View>) => {
    show(change);
    focusFilters();
  };
  const rows = store.rows;
  return (
    <div class="page">
      <header>
        <Mark />
        <Help />
        <Link href="/account" class="avatar" aria-label={`Account of ${user.name}`} title={user.email}>
          {initial(user.name)}
        </Link>
      </header>
      <main>
        <div>
          <h1>
            {greeting()}, {user.name.split(" ")[0]}
          </h1>
          <p class="today">{new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" }).format()}</p>
        </div>
        <Banner store={store} online={online} />
        <AddTask store={store} view={view} />
        <Toolbar view={view} show={show} />
        {(view.tag || view.priority) && (
          <p class="filters">
            {view.priority && (
              <button
                type="button"
                class="button"
                aria-label={`${PRIORITIES[view.priority]}: show all priorities`}
                onClick={() => showMore({ priority: undefined })}
              >
                {PRIORITIES[view.priority]}
              </button>
            )}
            {view.tag && (
              <button type="button" class="button" aria-label={`#${view.tag}: show all tags`} onClick={() => showMore({ tag: "" })}>
                #{view.tag}
              </button>
            )}
          </p>
        )}
        <ul class="tasks" aria-label="Tasks" aria-busy={store.loading}>
          {rows.map((row) => (
            <TaskRow key={row.key} row={row} store={store} show={show} />
          ))}
        </ul>
        {rows.length === 0 && store.loaded && !store.loading && <Empty view={view} show={showMore} />}
        {!store.loaded && !store.failure && <Skeleton />}
        {store.hasMore && <More store={store} count={rows.length} />}
      </main>
      <Toast store={store} />
    </div>
  );
}

function AddTask({ store, view }: { store: TaskStore; view: View }) {
  const [title, setTitle] = useState(store.draft);
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.focus({ preventScroll: true }), []);
  const submit = (event: Event) => {
    event.preventDefault();
    if (!title.trim()) return field.current?.focus();
    store.draft = "";
    // A new task has what the list is filtered by.
    store.add({ title: title.trim(), ...(view.tag && { tags: [view.tag] }), ...(view.priority && { priority: view.priority }) });
    setTitle("");
    field.current?.focus();
  };
  return (
    <form class="add" onSubmit={submit}>
      <label class="sr-only" for="new-task">
        New task
      </label>
      <input
        id="new-task"
        ref={field}
        value={title}
        onInput={(event) => {
          store.draft = event.currentTarget.value;
          setTitle(event.currentTarget.value);
        }}
        placeholder="What needs doing?"
        autocomplete="off"
        enterkeyhint="done"
      />
      <button type="submit" class="button primary">
        Add
      </button>
    </form>
  );
}

function Toolbar({ view, show }: { view: View; show: (change: Partial<View>, replace?: boolean) => void }) {
  const [search, setSearch] = useState(view.search);
  useEffect(() => setSearch(view.search), [view.search]);
  useEffect(() => {
    if (search === view.search) return;
    // One entry of the history for a search, not one for each letter.
    const timer = setTimeout(() => show({ search }, view.search !== ""), SEARCH_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [search]);
  return (
    <div class="toolbar">
      <div class="statuses" role="group" aria-label="Show">
        {(Object.keys(STATUSES) as Status[]).map((status) => (
          <button type="button" aria-pressed={view.status === status} onClick={() => show({ status })}>
            {STATUSES[status]}
          </button>
        ))}
      </div>
      <label class="sr-only" for="search">
        Search
      </label>
      <input
        id="search"
        type="search"
        placeholder="Search"
        value={search}
        maxLength={200}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      <label class="sr-only" for="sort">
        Sort
      </label>
      <select id="sort" value={view.sort} onChange={(event) => show({ sort: event.currentTarget.value as SortName })}>
        {Object.entries(SORTS).map(([name, [label]]) => (
          <option value={name}>{label}</option>
        ))}
      </select>
    </div>
  );
}

function Banner({ store, online }: { store: TaskStore; online: boolean }) {
  const text = !online
    ? "You are offline. You can read and add tasks; they are sent when the connection is back."
    : store.failure;
  return (
    <div role="status">
      {text && (
        <p class="banner">
          {text}
          {online && (
            <button type="button" class="button" onClick={() => void store.load()}>
              Try now
            </button>
          )}
        </p>
      )}
    </div>
  );
}

function Empty({ view, show }: { view: View; show: (change: Partial<View>) => void }) {
  const isFiltered = view.search || view.tag || view.priority;
  const [title, text] = isFiltered
    ? ["Nothing found", view.search ? `No task contains ${quoted(view.search)}.` : "No task has this tag or priority."]
    : view.status === "completed"
      ? ["Nothing done yet", "Tasks that you complete are listed here."]
      : view.status === "pending"
        ? ["All done", "Nothing is left to do. Enjoy the rest of your day."]
        : ["A clear head starts here", "Type your first task above and press Enter. A small one is a good start."];
  return (
    <div class="empty">
      <span class={isFiltered ? "picture none" : "picture"} aria-hidden="true" />
      <h2>{title}</h2>
      <p>{text}</p>
      {(isFiltered || view.status !== "all") && (
        <button type="button" class="button" onClick={() => show({ search: "", status: "all", tag: "", priority: undefined })}>
          Show all tasks
        </button>
      )}
    </div>
  );
}

function Skeleton() {
  return (
    <div class="skeleton" role="status">
      <span class="sr-only">Loading your tasks</span>
      <i /><i /><i /><i />
    </div>
  );
}

/** Loads the next page when it comes into view; the button is for keyboards and for readers of the page. */
function More({ store, count }: { store: TaskStore; count: number }) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const element = button.current;
    if (!element) return;
    // Several entries are those of several frames: the last one is how it is now.
    const load: IntersectionObserverCallback = (entries) => entries.at(-1)?.isIntersecting && !store.failure && void store.more();
    const observer = new IntersectionObserver(load, { rootMargin: "600px" });
    observer.observe(element);
    return () => observer.disconnect();
  }, [store, count, store.loading]); // observed again after each response: it may still be in view
  return (
    <button type="button" class="button more" ref={button} onClick={() => void store.more()}>
      {store.loading ? "Loading …" : "More tasks"}
    </button>
  );
}

function Toast({ store }: { store: TaskStore }) {
  const { notice } = store;
  return (
    <div role="status" class="toasts">
      {notice && (
        <p class="toast">
          <span>{notice.text}</span>
          {notice.undo && (
            <button type="button" onClick={() => undo(store)}>
              Undo
            </button>
          )}
        </p>
      )}
    </div>
  );
}

function useOnline(store: TaskStore): boolean {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const update = () => {
      setOnline(navigator.onLine);
      if (navigator.onLine) void store.resume();
    };
    const visible = () => document.visibilityState === "visible" && void store.resume();
    addEventListener("online", update);
    addEventListener("offline", update);
    document.addEventListener("visibilitychange", visible);
    return () => {
      removeEventListener("online", update);
      removeEventListener("offline", update);
      document.removeEventListener("visibilitychange", visible);
    };
  }, [store]);
  return online;
}

function greeting(): string {
  const hour = new Date().getHours();
  return hour < 5 ? "Good night" : hour < 12 ? "Good morning" : hour < 18 ? "Good afternoon" : "Good evening";
}
