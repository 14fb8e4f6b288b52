// Something that runs.

/** `drain` may be called without `start`, and twice; it resolves when all work under way is done or handed over. */
export interface Service {
  start(): Promise<void>
  drain(): Promise<void>
}
