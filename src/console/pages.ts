// What a page is: a name, a place in the rail, and the pieces it is made of.
import type { Ask } from './ask.ts'
import type { ConsoleDoors } from './doors.ts'
import type { Html } from './parts.ts'
import type { Picture } from './picture.ts'

export interface PageContext {
  readonly doors: ConsoleDoors
  readonly ask: Ask
  readonly picture: Picture
  readonly query: URLSearchParams
}
/** The pieces by id, in the order in which they stand. */
export type Pieces = readonly (readonly [id: string, piece: Html | Promise<Html>])[]

export interface Page {
  readonly key: string
  readonly path: string
  readonly title: string
  readonly pieces: (context: PageContext) => Pieces
  /** Lays the rendered pieces out. */
  readonly layout: (piece: (id: string) => Html, context: PageContext) => Html
  /** Browser modules beside the common one. */
  readonly scripts: readonly string[]
}
