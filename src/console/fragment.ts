// Pieces of a page that the stream replaces whole: each with its id and a digest of what it says.
import { hash64 } from '../lib/hash.ts'
import type { Html } from './parts.ts'

export interface Fragment {
  readonly id: string
  /** Changes when the piece says something else; that time goes by is not something else. */
  readonly digest: string
  readonly html: string
}

const running = /(<time [^>]*>)[^<]*/g

/** Renders a piece whose outermost element carries `id` and an empty `data-fragment`. */
export const fragment = async (id: string, piece: Html): Promise<Fragment> => {
  const html = String(await piece)
  const digest = hash64([html.replace(running, '$1')]).slice(0, 8)
  return { id, digest, html: html.replace('data-fragment', `data-fragment="${digest}"`) }
}
