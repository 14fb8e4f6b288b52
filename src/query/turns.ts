// At most so many at a time; the rest wait in the order they came.

export interface Turns {
  /** Resolves with the function that gives the turn back; rejects with the signal's reason when it is aborted first. */
  enter(signal: AbortSignal): Promise<() => void>
  running(): number
}

export const createTurns = (most: number): Turns => {
  let running = 0
  const waiting: (() => void)[] = []
  const leave = (): (() => void) => {
    let left = false
    return () => {
      if (left) return
      left = true
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
  return {
    running: () => running,
    enter: (signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        if (running < most) {
          running++
          return resolve(leave())
        }
        const go = (): void => {
          signal.removeEventListener('abort', stop)
          resolve(leave())
        }
        const stop = (): void => {
          waiting.splice(waiting.indexOf(go), 1)
          reject(signal.reason)
        }
        waiting.push(go)
        signal.addEventListener('abort', stop, { once: true })
      }),
  }
}
