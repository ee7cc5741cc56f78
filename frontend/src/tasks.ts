/** The list of tasks: every change shows at once, is sent in order, and is rolled back if it is rejected. */
import { hex, type ListQuery, type NewTask, type Task, type TaskApi, type TaskChange } from "./api.ts";
import { AccountChanged, isRetryable, Problem, SignedOut, sentence, Unreachable } from "./errors.ts";
import { changesOf, type Problems, problemsOf, quoted, type Text, textOf } from "./fields.ts";
import { Store } from "./store.ts";

export const UNDO_MS = 6000;
const ATTEMPTS = 3;
const PAGE_SIZE = 50;
const LIMIT_MAX = 200;
const LEAVE_MS = 700;
const STALE_MS = 30_000;
const RETRY_AFTER_MAX_MS = 30_000;

type Operation =
  | { kind: "create"; body: NewTask; idempotencyKey: string }
  | { kind: "update"; changes: TaskChange; from?: TaskChange }
  | { kind: "delete" };

export interface Conflict {
  mine: TaskChange;
  theirs: Task;
}

/** An open editor. It is part of the task's state, so that what is typed outlives an expired session and a rejection. */
export interface Editor {
  /** The task before the edit. */
  readonly opened: Task;
  /** As typed until now. */
  text: Text;
  /** Why the last attempt was rejected. */
  readonly problems: Problems | undefined;
}

/** sending: on its way. waiting: sent when the connection is back. failed: sent when the user asks. */
export type RowState = "saved" | "sending" | "waiting" | "failed";

/** What the list shows of a task. A changed row is a new object. */
export interface Row {
  readonly key: string;
  readonly task: Task;
  readonly state: RowState;
  readonly problem: string | undefined;
  readonly conflict: Conflict | undefined;
  readonly editor: Editor | undefined;
  readonly version: number;
}

interface Entry {
  readonly key: string;
  /** As the server last returned it; undefined until it is created. */
  base: Task | undefined;
  /** Not yet confirmed, in order; the row shows them applied to `base`. */
  operations: Operation[];
  state: RowState;
  problem: string | undefined;
  conflict: Conflict | undefined;
  editor: Editor | undefined;
  hidden: boolean;
  /** Shown although the filter no longer matches: it has just been changed here. */
  kept: boolean;
  running: boolean;
  version: number;
}

export interface Notice {
  text: string;
  undo?: () => void;
  /** The row that an undo returns. */
  key?: string;
}

/** What the store needs of its surroundings. */
export interface Surroundings {
  isOnline(): boolean;
  after(milliseconds: number, action: () => void): () => void;
  now(): number;
  signedOut(): void;
  accountChanged(): void;
}

export class TaskStore extends Store {
  loading = false;
  loaded = false;
  /** Why the list is not up to date. */
  failure: string | undefined;
  notice: Notice | undefined;
  query: ListQuery = {};
  /** What is typed into the field of new tasks. */
  draft = "";

  private entries: Entry[] = [];
  private cursor: string | null = null;
  private fetching: AbortController | undefined;
  private readonly deletions = new Map<Entry, () => void>();
  private cancelNotice = () => {};
  private cancelReload = () => {};
  private reloads = 0;
  private loadedAt = 0;
  private readonly views = new WeakMap<Entry, Row>();

  constructor(
    private readonly api: TaskApi,
    private readonly userId: string,
    private readonly around: Surroundings,
  ) {
    super();
  }

  get rows(): Row[] {
    return this.entries.filter((entry) => !entry.hidden && this.isShown(entry)).map((entry) => this.view(entry));
  }

  get hasMore(): boolean {
    return this.cursor !== null;
  }

  /** Whether closing the page would lose something. */
  get hasUnsent(): boolean {
    return this.entries.some((entry) => entry.operations.length > 0 || isUndecided(entry));
  }

  // Reading

  /** Shows another list, or the same one again. Changes that are not yet confirmed stay. */
  async load(query: ListQuery = this.query): Promise<void> {
    const isOther = JSON.stringify(query) !== JSON.stringify(this.query);
    const length = isOther ? 0 : this.entries.filter((entry) => entry.base).length;
    this.query = query;
    const limit = Math.min(LIMIT_MAX, Math.max(PAGE_SIZE, length));
    await this.fetch({ ...query, limit }, (tasks, cursor) => {
      const tail = !isOther && length > LIMIT_MAX ? this.entries.filter((entry) => entry.base).slice(LIMIT_MAX) : [];
      if (tail.length === 0) this.cursor = cursor;
      const known = new Map(this.entries.map((entry) => [entry.base?.id, entry]));
      const fresh = tasks.map((task) => this.merge(known.get(task.id), task));
      const unsent = this.entries.filter((entry) => (entry.operations.length > 0 || entry.hidden || isUndecided(entry)) && !fresh.includes(entry));
      this.entries = [...unsent, ...fresh, ...tail.filter((entry) => !fresh.includes(entry) && !unsent.includes(entry))];
    });
  }

  /** Appends the next page. */
  async more(): Promise<void> {
    if (this.cursor === null || this.loading) return;
    await this.fetch({ ...this.query, limit: PAGE_SIZE, cursor: this.cursor }, (tasks, cursor) => {
      this.cursor = cursor;
      const known = new Set(this.entries.map((entry) => entry.base?.id));
      this.entries = [...this.entries, ...tasks.filter((task) => !known.has(task.id)).map((task) => this.merge(undefined, task))];
    });
  }

  /** Loads again what has become old, and sends what waits. */
  async resume(): Promise<void> {
    this.retryAll();
    if (this.failure || this.around.now() - this.loadedAt > STALE_MS) await this.load();
  }

  private async fetch(query: ListQuery, apply: (tasks: Task[], cursor: string | null) => void): Promise<void> {
    this.fetching?.abort();
    this.cancelReload();
    const fetching = new AbortController();
    this.fetching = fetching;
    this.loading = true;
    this.changed();
    try {
      const page = await this.api.list(query, fetching.signal);
      if (this.fetching !== fetching) return; // a newer list has been asked for
      apply(page.tasks, page.next_cursor);
      this.loaded = true;
      this.loadedAt = this.around.now();
      if (this.failure) this.retryAll(); // the server is back
      this.failure = undefined;
      this.reloads = 0;
    } catch (error) {
      if (this.fetching !== fetching || this.leaves(error)) return;
      this.failure = sentence(error);
      if (isRetryable(error)) {
        this.failure += " Trying again …";
        const delay = retryDelay(error, this.reloads++);
        this.cancelReload = this.around.after(delay, () => void this.load());
      }
    } finally {
      if (this.fetching === fetching) {
        this.loading = false;
        this.changed();
      }
    }
  }

  // Changes

  add(body: NewTask): void {
    const entry = newEntry(`new-${hex(8)}`, undefined);
    entry.kept = true;
    this.entries = [entry, ...this.entries];
    this.create(entry, body);
  }

  private create(entry: Entry, body: NewTask): void {
    entry.operations.push({ kind: "create", body, idempotencyKey: hex(16) });
    this.start(entry);
  }

  /** Sets fields to values. `completed` is set, never flipped: a repeated request must not flip it back. */
  set(key: string, changes: TaskChange): void {
    const entry = this.find(key);
    if (!entry) return;
    entry.kept = true;
    this.around.after(LEAVE_MS, () => this.touch(entry, { kept: false }));
    const last = entry.operations.at(-1);
    // One that is not yet sent takes the change along.
    if (last?.kind === "update" && !last.from && !(entry.running && entry.operations.length === 1)) {
      last.changes = { ...last.changes, ...changes };
    } else {
      entry.operations.push({ kind: "update", changes });
    }
    this.start(entry);
  }

  /** Saves an edit. If another client has changed one of the same fields meanwhile, nothing is written: see `Row.conflict`.
   * @param from The values that the fields had when the editor opened. */
  edit(key: string, changes: TaskChange, from: TaskChange): void {
    const entry = this.find(key);
    if (!entry) return;
    entry.kept = true;
    entry.conflict = undefined;
    entry.operations.push({ kind: "update", changes, from });
    this.start(entry);
  }

  /** Ends a conflict. */
  resolve(key: string, winner: "mine" | "theirs"): void {
    const entry = this.find(key);
    const conflict = entry?.conflict;
    if (!entry || !conflict) return;
    if (winner === "mine") this.edit(key, conflict.mine, pick(conflict.theirs, conflict.mine));
    else this.touch(entry, { conflict: undefined });
  }

  /** Opens the editor of a task, if it is not open. */
  open(key: string): void {
    const entry = this.find(key);
    if (!entry || entry.editor) return;
    const opened = this.view(entry).task;
    this.touch(entry, { editor: { opened, text: textOf(opened), problems: undefined } });
  }

  /** Closes the editor without saving. A task that was never accepted leaves with it. */
  close(key: string): void {
    const entry = this.find(key);
    if (!entry) return;
    this.touch(entry, { editor: undefined });
    if (!entry.base && entry.operations.length === 0) this.drop(entry);
  }

  /** Closes the editor and saves what was edited. */
  save(key: string): void {
    const entry = this.find(key);
    const editor = entry?.editor;
    if (!entry || !editor) return;
    const changes = changesOf(editor.text, textOf(editor.opened));
    this.touch(entry, { editor: undefined });
    if (!entry.base && entry.operations.length === 0) {
      const { title, description, completed, priority, due, tags } = { ...editor.opened, ...defined(changes) };
      this.create(entry, { title, description, completed, priority, due, tags });
    } else if (fieldsOf(changes).length > 0) {
      this.edit(key, changes, pick(editor.opened, changes));
    }
  }

  /** Hides a task, and deletes it once it can no longer be undone. */
  remove(key: string): void {
    const entry = this.find(key);
    if (!entry || entry.hidden) return;
    const title = this.view(entry).task.title;
    entry.hidden = true;
    const cancel = this.around.after(UNDO_MS, () => {
      this.deletions.delete(entry);
      this.delete(entry);
    });
    this.deletions.set(entry, cancel);
    this.touch(entry);
    this.say(`Deleted ${quoted(title)}`, () => {
      if (!this.deletions.delete(entry)) return;
      cancel();
      this.touch(entry, { hidden: false });
      this.say(`Restored ${quoted(title)}`);
    }, key);
  }

  /** Sends what still waits for an undo: the page is being closed, or the session ends. */
  flush(): void {
    for (const [entry, cancel] of this.deletions) {
      cancel();
      if (entry.base) void this.api.remove(entry.base.id, true).catch(() => {});
    }
    this.deletions.clear();
  }

  retry(key: string): void {
    const entry = this.find(key);
    if (entry) this.start(entry);
  }

  retryAll(): void {
    for (const entry of this.entries) if (entry.operations.length > 0) this.start(entry);
  }

  say(text: string, undo?: () => void, key = ""): void {
    this.cancelNotice();
    this.notice = undo ? { text, undo, key } : { text };
    this.cancelNotice = this.around.after(UNDO_MS, () => this.dismiss());
    this.changed();
  }

  dismiss(): void {
    this.notice = undefined;
    this.changed();
  }

  // Sending

  private start(entry: Entry): void {
    if (!entry.running) void this.send(entry);
    else this.touch(entry);
  }

  private async send(entry: Entry): Promise<void> {
    entry.running = true;
    this.touch(entry, { state: "sending", problem: undefined });
    for (let operation = entry.operations[0]; operation; operation = entry.operations[0]) {
      try {
        const task = await this.attempt(entry, operation);
        entry.operations.shift();
        if (task) entry.base = task;
        this.touch(entry);
        if (!task) return this.drop(entry);
      } catch (error) {
        entry.running = false;
        return this.rejected(entry, operation, error);
      }
    }
    entry.running = false;
    this.touch(entry, { state: "saved" });
  }

  /** Sends one operation, up to three times. The same key or the same values: a repeat changes nothing twice. */
  private async attempt(entry: Entry, operation: Operation): Promise<Task | undefined> {
    for (let count = 0; ; count++) {
      try {
        return await this.request(entry, operation);
      } catch (error) {
        if (!isRetryable(error) || count + 1 >= ATTEMPTS || !this.around.isOnline()) throw error;
        await new Promise<void>((resume) => this.around.after(retryDelay(error, count), resume));
      }
    }
  }

  private async request(entry: Entry, operation: Operation): Promise<Task | undefined> {
    if (operation.kind === "create") return this.api.create(operation.body, operation.idempotencyKey);
    const id = entry.base?.id;
    if (id === undefined) return undefined;
    if (operation.kind === "delete") {
      await this.api.remove(id).catch((error: unknown) => {
        if (!(error instanceof Problem && error.status === 404)) throw error;
      });
      return undefined;
    }
    if (!operation.from) return this.api.update(id, operation.changes);
    const { task, etag } = await this.api.get(id);
    const from = operation.from;
    const changes = operation.changes;
    if (fieldsOf(changes).some((field) => !isSame(task[field], from[field]) && !isSame(task[field], changes[field]))) {
      throw new Conflicting(task);
    }
    try {
      return await this.api.update(id, changes, etag);
    } catch (error) {
      // Changed between the two requests: compare again.
      if (error instanceof Problem && error.status === 412) return this.request(entry, operation);
      throw error;
    }
  }

  private rejected(entry: Entry, operation: Operation, error: unknown): void {
    if (error instanceof Conflicting && operation.kind === "update") {
      entry.operations.shift();
      this.touch(entry, { state: "saved", base: error.theirs, conflict: { mine: operation.changes, theirs: error.theirs } });
      this.say("This task was changed elsewhere. Both versions are shown.");
    } else if (this.leaves(error)) {
      this.touch(entry, { state: "waiting" });
    } else if (isRetryable(error)) {
      const waits = error instanceof Unreachable && !this.around.isOnline();
      if (operation.kind === "delete") entry.hidden = false;
      this.touch(entry, { state: waits ? "waiting" : "failed", problem: sentence(error) });
    } else if (error instanceof Problem && error.status === 404) {
      this.drop(entry);
      this.say(`${quoted(this.view(entry).task.title)} was deleted elsewhere.`);
    } else {
      const typed = this.view(entry).task;
      entry.operations.shift(); // rolls back: the row shows its base again
      if (operation.kind === "create") entry.operations = []; // part of `typed`
      if (operation.kind === "delete") entry.hidden = false;
      this.touch(entry, { state: "saved" });
      const rest = this.view(entry).task;
      if (operation.kind === "create") this.reopen(entry, typed, typed, error);
      else if (operation.kind === "update" && operation.from) {
        this.reopen(entry, { ...rest, ...defined(operation.from) }, { ...rest, ...defined(operation.changes) }, error);
      } else this.say(`Not saved: ${sentence(error)}`);
      if (entry.operations.length > 0) this.start(entry);
    }
  }

  /** Returns what was typed to the editor, with what is wrong beside its field. */
  private reopen(entry: Entry, opened: Task, typed: Task, error: unknown): void {
    const problems = problemsOf(error);
    this.touch(entry, { editor: { opened, text: entry.editor?.text ?? textOf(typed), problems } });
    this.say(problems.other ? `Not saved: ${problems.other}` : "Not saved. What to correct is marked.");
  }

  private delete(entry: Entry): void {
    // Changes that were not sent need not be.
    entry.operations = entry.operations.slice(0, entry.running || !entry.base ? 1 : 0);
    entry.operations.push({ kind: "delete" });
    this.start(entry);
  }

  private leaves(error: unknown): boolean {
    if (error instanceof SignedOut) this.around.signedOut();
    else if (error instanceof AccountChanged) this.around.accountChanged();
    else return false;
    return true;
  }

  // Entries

  private find(key: string): Entry | undefined {
    return this.entries.find((entry) => entry.key === key);
  }

  private merge(entry: Entry | undefined, task: Task): Entry {
    if (!entry) return newEntry(`task-${task.id}`, task);
    if (entry.operations.length === 0) {
      entry.base = task;
      entry.version++;
    }
    return entry;
  }

  private drop(entry: Entry): void {
    this.entries = this.entries.filter((each) => each !== entry);
    this.changed();
  }

  private touch(entry: Entry, changes: Partial<Entry> = {}): void {
    Object.assign(entry, changes);
    entry.version++;
    this.changed();
  }

  private isShown(entry: Entry): boolean {
    if (entry.kept || entry.conflict || entry.editor || entry.state === "failed" || !this.query.status || this.query.status === "all") return true;
    return this.view(entry).task.completed === (this.query.status === "completed");
  }

  private view(entry: Entry): Row {
    const seen = this.views.get(entry);
    if (seen?.version === entry.version) return seen;
    const now = new Date().toISOString();
    let task: Task = entry.base ?? { id: 0, user_id: this.userId, title: "", description: null, completed: false, priority: "none", due: null, tags: [], created_at: now, updated_at: now };
    for (const operation of entry.operations) {
      if (operation.kind === "create") task = { ...task, ...defined(operation.body) };
      else if (operation.kind === "update") task = { ...task, ...defined(operation.changes) };
    }
    const { key, state, problem, conflict, editor, version } = entry;
    const row: Row = { key, task, state, problem, conflict, editor, version };
    this.views.set(entry, row);
    return row;
  }
}

/** The edit and the task differ in the same field. */
class Conflicting extends Error {
  constructor(readonly theirs: Task) {
    super("conflict");
  }
}

function newEntry(key: string, base: Task | undefined): Entry {
  return { key, base, operations: [], state: "saved", problem: undefined, conflict: undefined, editor: undefined, hidden: false, kept: false, running: false, version: 0 };
}

/** Whether something was typed that is neither saved nor given up. */
function isUndecided({ conflict, editor }: Entry): boolean {
  return conflict !== undefined || (editor !== undefined && (editor.problems !== undefined || !isSame(editor.text, textOf(editor.opened))));
}

function fieldsOf(changes: TaskChange): (keyof TaskChange)[] {
  return Object.keys(changes) as (keyof TaskChange)[];
}

/** Returns the values of a task in the fields that a change names. */
export function pick(task: Task, changes: TaskChange): TaskChange {
  return Object.fromEntries(fieldsOf(changes).map((field) => [field, task[field]]));
}

/** Compares values of fields; tags are lists. */
export function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** Retry-After, or 1, 2, 4 … seconds. */
function retryDelay(error: unknown, count: number): number {
  const seconds = error instanceof Problem ? error.retryAfterSeconds : undefined;
  return Math.min(RETRY_AFTER_MAX_MS, (seconds ?? 2 ** count) * 1000);
}
