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
      for (const each of [...watchers]) each(value);
    },
    watch(each) {
      watchers.add(each);
      each(current);
      return () => watchers.delete(each);
    },
  };
}
