// One at a time, in order of arrival.

export interface Mutex {
  /** Runs `work` when all earlier work is done; its outcome is the caller's alone. */
  run<T>(work: () => Promise<T>): Promise<T>
  /** Resolves when everything asked for so far is done. */
  idle(): Promise<void>
}

export const createMutex = (): Mutex => {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run: (work) => {
      const mine = last.then(work, work)
      last = mine.then(
        () => undefined,
        () => undefined,
      )
      return mine
    },
    idle: async () => {
      await last
    },
  }
}
