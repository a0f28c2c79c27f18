/** A value that tells when it changes. */
interface Signal<T> {
  readonly value: T;
  set(value: T): void;
  /** Calls at once, and at each change; the answer ends that. */
  watch(each: (value: T) => void): () => void;
}

export function signal<T>(first: T): Signal<T> {
  let current = first;
  const watchers = new Set<(value: T) => void>();
  return {
    get value() {
      return current;
    },
    set(value) {
      if (Object.is(value, current)) return;
      current = value;
      // Who stopped watching because of this change is not called; who was told of a newer value is not told the old one.
      for (const each of [...watchers]) if (Object.is(value, current) && watchers.has(each)) each(value);
    },
    watch(each) {
      watchers.add(each);
      each(current);
      return () => watchers.delete(each);
    },
  };
}
