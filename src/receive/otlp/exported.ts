// What an export came to, whatever was exported.

export interface Exported {
  /** Items that were refused; the rest is on disk. */
  readonly rejected: number
  /** What was refused and why, with the first example of each; '' when nothing was. */
  readonly message: string
}

export const signals = ['metrics', 'traces', 'logs'] as const
export type Signal = (typeof signals)[number]
