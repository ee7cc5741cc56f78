/** The frame of all pages but the list: the mark, a heading, a card. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { router } from "../router.ts";

export function Frame({ title, children, back }: { title: string; children: ComponentChildren; back?: boolean }) {
  useTitle(title);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // A screen reader reads the new page from here, unless a field has the focus.
    if (document.activeElement === document.body) heading.current?.focus();
  }, [title]);
  return (
    <div class="frame">
      <header>{back ? <Link href="/" class="back">Your tasks</Link> : <Mark />}</header>
      <main>
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {children}
      </main>
    </div>
  );
}

export function Mark() {
  return (
    <span class="mark">
      <img src="/icon.svg" alt="" width="28" height="28" />
      Tasks
    </span>
  );
}

/** A link within the page. */
export function Link({ href, ...rest }: JSX.IntrinsicElements["a"] & { href: string }) {
  return (
    <a
      href={href}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
        event.preventDefault();
        router.go(href);
      }}
      {...rest}
    />
  );
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === "Tasks" ? title : `${title} · Tasks`;
  }, [title]);
}
