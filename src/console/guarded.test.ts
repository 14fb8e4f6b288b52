import { html } from 'hono/html'
import { describe, expect, it } from 'vitest'
import { AppError } from '../lib/errors.ts'
import { silentLogger } from '../lib/log.ts'
import { instant } from '../lib/time.ts'
import { guarded } from './guarded.ts'
import type { PageContext } from './pages.ts'

const contextWith = (storeError: string): PageContext =>
  ({
    doors: { log: silentLogger() },
    picture: { now: instant(0), storeError },
  }) as unknown as PageContext
const render = async (storeError: string, make: () => Promise<{ body: ReturnType<typeof html> }>) =>
  String(await guarded(contextWith(storeError), 'cost', 'Cost', 'Budgets are watched all the same.', make))

describe('a panel that asks', () => {
  it('shows the answer', async () => {
    expect(await render('', async () => ({ body: html`<p>fine</p>` }))).toContain('<p>fine</p>')
  })
  it('says what failed and what holds when no answer comes in time', async () => {
    const text = await render('', async () => {
      throw new AppError('timeout', 'query took longer than 5s')
    })
    expect(text).toContain('role="alert"')
    expect(text).toContain('No answer within 5 s.')
    expect(text).toContain('Budgets are watched all the same.')
  })
  it('names the store when that is what is away', async () => {
    const text = await render('connect ECONNREFUSED', async () => {
      throw new AppError('unavailable', 'no')
    })
    expect(text).toContain('ClickHouse does not answer.')
    expect(text).toContain('connect ECONNREFUSED')
  })
  it('lets no message become markup', async () => {
    const text = await render('', async () => {
      throw new AppError('execution', '<b>x</b>')
    })
    expect(text).toContain('&lt;b&gt;x')
  })
})
