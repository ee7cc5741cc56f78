/** The service and the timers that tests of the store use. */
import assert from "node:assert/strict";
import type { ListQuery, NewTask, Task, TaskApi, TaskChange } from "../src/api.ts";
import { Problem } from "../src/errors.ts";
import { type Surroundings, TaskStore } from "../src/tasks.ts";

/** A service in memory, with the versions and keys of the real one; `fail` makes the next requests fail. */
export class Service implements TaskApi {
  readonly tasks = new Map<number, Task & { version: number }>();
  readonly sent: string[] = [];
  readonly failures: unknown[] = [];
  /** Runs after a request has had its effect: a response that gets lost. */
  readonly lost: unknown[] = [];
  private readonly keys = new Map<string, Task>();

  seed(...titles: string[]): void {
    for (const title of titles) this.insert({ title });
  }

  async list(query: ListQuery, _signal?: AbortSignal): Promise<{ tasks: Task[]; count: number; next_cursor: string | null }> {
    this.request(`list ${JSON.stringify(query)}`);
    const all = [...this.tasks.values()].reverse().filter((task) => query.status !== "pending" || !task.completed);
    const start = Number(query.cursor ?? 0);
    const end = start + (query.limit ?? 50);
    const tasks = all.slice(start, end).map(({ version: _, ...task }) => task);
    return { tasks, count: tasks.length, next_cursor: end < all.length ? String(end) : null };
  }

  async get(id: number): Promise<{ task: Task; etag: string }> {
    this.request(`get ${id}`);
    const { version, ...task } = this.existing(id);
    return { task, etag: `"v${version}"` };
  }

  async create(body: NewTask, key: string): Promise<Task> {
    this.request(`create ${body.title}`);
    const task = this.keys.get(key) ?? this.insert(body);
    this.keys.set(key, task);
    this.lose();
    return task;
  }

  async update(id: number, changes: TaskChange, etag?: string): Promise<Task> {
    this.request(`update ${id} ${JSON.stringify(changes)}`);
    const task = this.existing(id);
    if (etag && etag !== `"v${task.version}"`) throw new Problem(412, "Precondition Failed");
    Object.assign(task, changes, { version: task.version + 1 });
    this.lose();
    const { version: _, ...rest } = task;
    return rest;
  }

  async remove(id: number): Promise<void> {
    this.request(`remove ${id}`);
    this.existing(id);
    this.tasks.delete(id);
    this.lose();
  }

  /** As another client does it. */
  change(id: number, changes: TaskChange): void {
    const task = this.existing(id);
    Object.assign(task, changes, { version: task.version + 1 });
  }

  private insert(body: NewTask): Task {
    const id = this.tasks.size + 1;
    const now = "2026-11-26T10:00:00Z";
    const task: Task = { id, user_id: "ada", description: null, completed: false, priority: "none", due: null, tags: [], ...body, created_at: now, updated_at: now };
    this.tasks.set(id, { ...task, version: 1 });
    return task;
  }

  private existing(id: number): Task & { version: number } {
    const task = this.tasks.get(id);
    if (!task) throw new Problem(404, "Not Found");
    return task;
  }

  private request(what: string): void {
    this.sent.push(what);
    const failure = this.failures.shift();
    if (failure) throw failure;
  }

  private lose(): void {
    const failure = this.lost.shift();
    if (failure) throw failure;
  }
}

/** Timers that run when the test advances the time. */
export class World implements Surroundings {
  online = true;
  time = 0;
  signOuts = 0;
  private timers: { at: number; action: () => void }[] = [];

  isOnline = () => this.online;
  now = () => this.time;
  signedOut = () => void this.signOuts++;
  accountChanged = () => {};
  after = (milliseconds: number, action: () => void) => {
    const timer = { at: this.time + milliseconds, action };
    this.timers.push(timer);
    return () => void (this.timers = this.timers.filter((each) => each !== timer));
  };

  async advance(milliseconds: number): Promise<void> {
    const end = this.time + milliseconds;
    for (;;) {
      await settle();
      const next = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = next.at;
      next.action();
    }
    this.time = end;
  }
}

/** Lets all promises that can settle do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export async function open(...titles: string[]) {
  const service = new Service();
  service.seed(...titles);
  const world = new World();
  const store = new TaskStore(service, "ada", world);
  await store.load({});
  service.sent.length = 0;
  const row = (title: string) => {
    const found = store.rows.find((each) => each.task.title === title);
    assert.ok(found, `${title} is not in ${store.rows.map((each) => each.task.title)}`);
    return found;
  };
  return { service, world, store, row, titles: () => store.rows.map((each) => each.task.title) };
}
