// Waits for what real I/O brings about, while the fake clock stands still.

/** Resolves with the first truthy answer; throws after `limit` real milliseconds, saying what was waited for. */
export const until = async <T>(
  what: string,
  look: () => T | Promise<T>,
  limit = 5000,
): Promise<Exclude<NonNullable<T>, false | 0 | ''>> => {
  const end = performance.now() + limit
  for (;;) {
    const found = await look()
    if (found) return found as Exclude<NonNullable<T>, false | 0 | ''>
    if (performance.now() > end) throw new Error(`waited ${limit} ms in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
