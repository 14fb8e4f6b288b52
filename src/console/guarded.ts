// A panel that asks the querier: when the answer does not come it says what failed and what still holds.
import { html } from 'hono/html'
import { asAppError } from '../lib/errors.ts'
import { clockSeconds } from './format.ts'
import type { PageContext } from './pages.ts'
import { broken, type Html, panel } from './parts.ts'

interface PanelOptions {
  readonly aside?: Html | string
  readonly cls?: string
  readonly more?: Html | string
}

/** Renders a panel whose body has to be asked for. `holds` says what is still true without it. */
export const guarded = async (
  { doors, picture }: PageContext,
  id: string,
  title: string,
  holds: string,
  make: () => Promise<{ body: Html; options?: PanelOptions }>,
): Promise<Html> => {
  try {
    const { body, options = {} } = await make()
    return panel(id, title, body, options)
  } catch (thrown) {
    const error = asAppError(thrown)
    if (error.code === 'internal') doors.log.error({ err: thrown, panel: id }, 'panel could not be made')
    const store = picture.storeError
    return panel(
      id,
      title,
      broken(
        store
          ? 'ClickHouse does not answer.'
          : error.code === 'timeout'
            ? 'No answer within 5 s.'
            : 'Cannot be shown.',
        `${store || error.message}. ${holds} Asked at ${clockSeconds(picture.now)}.`,
        html`<a class="button" href="/ingest">Look at ingest</a>`,
      ),
    )
  }
}
