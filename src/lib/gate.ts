// Lets at most so many run at once; the others wait their turn in order.

export type Gate = <T>(run: () => Promise<T>) => Promise<T>

export const createGate = (most: number): Gate => {
  let running = 0
  const waiting: (() => void)[] = []
  return async (run) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await run()
    } finally {
      // A place is handed on, not given back: nobody may slip in between.
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
