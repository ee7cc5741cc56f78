/** Which tasks the list shows, as the query of the page's address. */
import type { ListQuery } from "./api.ts";
import { PRIORITIES, type Priority } from "./fields.ts";

export const SORTS = {
  newest: ["Newest first", { sort: "created_at", order: "desc" }],
  oldest: ["Oldest first", { sort: "created_at", order: "asc" }],
  changed: ["Recently changed", { sort: "updated_at", order: "desc" }],
  due: ["Due first", { sort: "due", order: "asc" }],
  priority: ["Priority", { sort: "priority", order: "desc" }],
  title: ["Title A–Z", { sort: "title", order: "asc" }],
} as const satisfies Record<string, readonly [string, ListQuery]>;

export type SortName = keyof typeof SORTS;

export const STATUSES = { all: "All", pending: "To do", completed: "Done" } as const;
export type Status = keyof typeof STATUSES;

export interface View {
  status: Status;
  search: string;
  sort: SortName;
  /** Only tasks with this tag; empty: all. */
  tag: string;
  /** Only tasks of this priority. */
  priority: Priority | undefined;
}

/** Returns what the address asks for; unknown values are the defaults. */
export function readView(query: URLSearchParams): View {
  const status = query.get("status") ?? "";
  const sort = query.get("sort") ?? "";
  const priority = query.get("priority") ?? "";
  return {
    status: Object.hasOwn(STATUSES, status) ? (status as Status) : "all",
    search: (query.get("q") ?? "").slice(0, 200),
    sort: Object.hasOwn(SORTS, sort) ? (sort as SortName) : "newest",
    tag: (query.get("tag") ?? "").trim().slice(0, 50),
    priority: Object.hasOwn(PRIORITIES, priority) ? (priority as Priority) : undefined,
  };
}

/** Returns the address of a view. */
export function viewUrl({ status, search, sort, tag, priority }: View): string {
  const query = new URLSearchParams();
  if (search) query.set("q", search);
  if (status !== "all") query.set("status", status);
  if (sort !== "newest") query.set("sort", sort);
  if (tag) query.set("tag", tag);
  if (priority) query.set("priority", priority);
  const text = query.toString();
  return text ? `/?${text}` : "/";
}

/** Returns the request of a view. */
export function listQuery({ status, search, sort, tag, priority }: View): ListQuery {
  return {
    ...(status !== "all" && { status }),
    ...(search.trim() && { search: search.trim() }),
    ...(sort !== "newest" && SORTS[sort][1]),
    ...(tag && { tag: [tag] }),
    ...(priority && { priority: [priority] }),
  };
}
