// The console in a real browser, before the real product: every page, its stream, its keys, its states, on a desk and on a phone.
import chromium from '@sparticuz/chromium'
import { type Browser, type BrowserContextOptions, type Page, chromium as playwright } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const hostile = '<img src=x onerror="document.title=\'broken\'">'
const files = {
  'airboss.yaml': `name: test-house
global: { evaluation_interval: 1s }
rule_files: ['DIR/r.yaml']
alertmanager: 'DIR/am.yaml'
oncall:
  users: { mara: { name: Mara Lind, notify: [{ webhook: 'http://127.0.0.1:9/' }] } }
  policies: { night: { steps: [{ users: [mara] }] } }
`,
  'r.yaml': `groups:
- name: heat
  interval: 1s
  rules:
  - alert: Hot
    expr: heat_celsius > 90
    labels: { severity: critical }
    annotations: { summary: 'It is {{ $value }} degrees in {{ $labels.unit }}' }
  - alert: Wrong
    expr: heat_celsius * on() group_left() heat_celsius
`,
  'am.yaml': `route: { receiver: night, group_by: [alertname], group_wait: 0s, group_interval: 1s }
receivers:
- name: night
  oncall_configs: [{ policy: night }]
`,
}

let product: Product
let browser: Browser
let beat: NodeJS.Timeout
let heat = 20
const sendHeat = (): Promise<void> =>
  product.remoteWrite(
    ['u1', hostile].map((unit, i) => ({
      labels: { __name__: 'heat_celsius', unit },
      samples: [[i === 0 ? heat : 21, Date.now()]],
    })),
  )

beforeAll(async () => {
  const { mkdtempSync } = await import('node:fs')
  const { tmpdir } = await import('node:os')
  const dir = mkdtempSync(`${tmpdir()}/airboss-console-`)
  const filled = Object.fromEntries(Object.entries(files).map(([k, v]) => [k, v.replaceAll('DIR', dir)]))
  product = await startProduct({ dir, files: filled })
  await sendHeat()
  beat = setInterval(() => void sendHeat().catch(() => undefined), 1000)
  browser = await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: chromium.args,
    headless: true,
  })
}, 120_000)
afterAll(async () => {
  clearInterval(beat)
  await browser?.close()
  await product?.dispose()
})

const problems: string[] = []
const pagesOpen: Page[] = []
// The browser runs as one process, which would end with its first context.
const open = async (
  path: string,
  options: BrowserContextOptions = {},
  before?: (p: Page) => Promise<void>,
) => {
  const context = await browser.newContext({
    locale: 'en-GB',
    viewport: { width: 1440, height: 900 },
    ...options,
  })
  const page = await context.newPage()
  pagesOpen.push(page)
  page.on('console', (m) => {
    if (m.type() === 'error' || m.type() === 'warning') problems.push(`${path}: ${m.text()}`)
  })
  page.on('pageerror', (e) => problems.push(`${path}: ${e.message}`))
  await before?.(page)
  await page.goto(`${product.http}${path}`)
  return page
}
afterEach(async () => {
  for (const page of pagesOpen.splice(0)) await page.close()
  expect(problems.splice(0)).toEqual([])
})

const phone: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  isMobile: true,
  hasTouch: true,
  deviceScaleFactor: 2,
  colorScheme: 'dark',
}
const paths = [
  '/',
  '/alerts',
  '/decisions',
  '/on-call',
  '/explore',
  '/explore?expr=heat_celsius&range=15m',
  '/costs',
  '/rules',
  '/ingest',
]
const query = '/explore?range=15m&expr=heat_celsius'

describe('every page', () => {
  it.each(paths)('%s stands without an error, with one heading and named controls', async (path) => {
    const page = await open(path)
    await page.waitForLoadState('load')
    expect(await page.locator('h1').count()).toBe(1)
    expect(await page.locator('main').isVisible()).toBe(true)
    expect(await page.locator('.panel, .verdict').count()).toBeGreaterThan(0)
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll('button, a[href], input:not([type=hidden]), select, textarea')]
        .filter((e) => {
          const labelled = (e as HTMLInputElement).labels?.length || e.getAttribute('aria-label')
          return !labelled && !e.textContent?.trim()
        })
        .map((e) => e.outerHTML.slice(0, 100)),
    )
    expect(unnamed).toEqual([])
    const dead = await page.evaluate(async () => {
      const hrefs = new Set(
        [...document.querySelectorAll<HTMLAnchorElement>('.rail a, .tabs a')].map((a) => a.pathname),
      )
      const answers = await Promise.all([...hrefs].map(async (h) => [h, (await fetch(h)).status] as const))
      return answers.filter(([, status]) => status !== 200)
    })
    expect(dead).toEqual([])
  })

  it.each(paths)('%s does not scroll sideways on a phone', async (path) => {
    const page = await open(path, phone)
    await page.waitForLoadState('load')
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(
      0,
    )
    const small = await page.evaluate(() =>
      [...document.querySelectorAll('.tabs a, .button')]
        .filter((e) => (e as HTMLElement).offsetParent && e.getBoundingClientRect().height < 40)
        .map((e) => e.outerHTML.slice(0, 80)),
    )
    expect(small).toEqual([])
  })

  it('is whole without script', async () => {
    const page = await open(query, { javaScriptEnabled: false })
    expect(await page.locator('table.series tbody tr').count()).toBe(2)
    expect(await page.locator('.canvas').isVisible()).toBe(false)
    expect(await page.locator('textarea#q').inputValue()).toBe('heat_celsius')
  })

  it('comes with headers that let nothing in from elsewhere, and keeps to its budget', async () => {
    const answer = await product.fetch('/')
    const csp = answer.headers.get('content-security-policy') ?? ''
    expect(csp).toContain("default-src 'none'")
    expect(csp).toMatch(/script-src 'self' 'sha256-[^']+';/)
    expect(answer.headers.get('x-frame-options')).toBe('DENY')
    const text = await answer.text()
    expect(text.length).toBeLessThan(60_000)
    const base = /\/console\/assets\/[0-9a-f]+/.exec(text)?.[0]
    const size = async (name: string): Promise<number> =>
      (await (await product.fetch(`${base}/${name}`)).text()).length
    expect(await size('airboss.css')).toBeLessThan(50_000)
    expect(await size('app.js')).toBeLessThan(60_000)
    expect(await size('plot.js')).toBeLessThan(90_000)
    const asset = await product.fetch(`${base}/app.js`)
    expect(asset.headers.get('cache-control')).toContain('immutable')
    const again = await product.fetch(`${base}/app.js`, {
      headers: { 'if-none-match': asset.headers.get('etag') ?? '' },
    })
    expect(again.status).toBe(304)
  })
})

describe('explore', () => {
  it('draws the plot, in the metric’s own unit, and no label becomes markup', async () => {
    // The plot's last step must lie behind the first sample.
    await until(
      'a past to draw',
      async () => (await product.query('heat_celsius offset 10s')).length === 2,
      20_000,
    )
    const page = await open(query)
    await page.locator('.canvas.drawn canvas').waitFor()
    expect(await page.locator('table.series').innerText()).toContain('°C')
    expect(await page.locator('table.series').innerText()).toContain(hostile)
    expect(await page.locator('.legend').innerText()).toContain(hostile)
    const box = (await page.locator('.canvas .u-over').boundingBox())!
    await page.mouse.move(box.x + box.width - 3, box.y + 40)
    await page.locator('.tip').waitFor()
    expect(await page.locator('.tip').innerText()).toContain(hostile)
    expect(await page.locator('main img').count()).toBe(0)
    expect(await page.title()).not.toBe('broken')
  })
  it('edits with colours, undoes, and runs what stands there', async () => {
    const page = await open(query)
    const editor = page.locator('.cm-content')
    await editor.click()
    await page.keyboard.press('End')
    await page.keyboard.type(' * 2')
    await page.keyboard.press('Control+z')
    expect(await page.locator('textarea#q').inputValue()).toBe('heat_celsius')
    await page.waitForTimeout(600)
    await page.keyboard.type(' * 3')
    await page.keyboard.press('Escape')
    await page.keyboard.press('Shift+Enter')
    await page.waitForURL(/expr=heat_celsius\+\*\+3|expr=heat_celsius%20\*%203/)
    expect(await page.locator('.answer').innerText()).toContain('2 series')
  })
  it('says where a question is wrong, and what was meant', async () => {
    const wrong = await open('/explore?expr=sum(rate(up[5m])')
    expect(await wrong.locator('.broken').innerText()).toContain('Line 1, column 17')
    const missing = await open('/explore?expr=heat_celcius')
    expect(await missing.locator('main').innerText()).toContain('Did you mean')
    expect(await missing.locator('main a', { hasText: 'heat_celsius' }).count()).toBe(1)
  })
})

describe('keys and themes', () => {
  it('goes, finds, lists keys and leaves typing alone', async () => {
    const page = await open('/')
    // Two keys make a chord only when they come close together, which a busy machine cannot promise at the first try.
    await until(
      'g e to go to Explore',
      async () => {
        await page.keyboard.press('g')
        await page.keyboard.press('e')
        return page.waitForURL(/\/explore$/, { timeout: 2000 }).then(
          () => true,
          () => false,
        )
      },
      20_000,
    )
    await page.locator('.cm-content').click()
    await page.keyboard.type('gn/t')
    expect(await page.locator('textarea#q').inputValue()).toBe('gn/t')
    expect(page.url()).toMatch(/\/explore$/)
    await page.goto(product.http)
    await page.keyboard.press('?')
    expect(await page.locator('#keys').isVisible()).toBe(true)
    await page.keyboard.press('Escape')
    await page.locator('#keys').waitFor({ state: 'hidden' })
    await page.keyboard.press('/')
    await page.locator('#find-q').fill('heat cel')
    await page.locator('#find .found a', { hasText: 'heat_celsius' }).waitFor()
    await page.keyboard.press('Enter')
    await page.waitForURL(/expr=heat_celsius/)
  }, 60_000)
  it('keeps the theme that was chosen', async () => {
    const page = await open('/', { colorScheme: 'light' })
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = await background()
    await page.keyboard.press('t')
    const dark = await background()
    expect(dark).not.toBe(light)
    await page.reload()
    expect(await background()).toBe(dark)
  })
  it('opens the sheet of pages on a phone', async () => {
    const page = await open('/', phone)
    expect(await page.locator('.rail').isVisible()).toBe(false)
    await page.locator('.tabs a[href="#more"]').tap()
    expect(await page.locator('.rail a[href="/rules"]').isVisible()).toBe(true)
  })
})

describe('the stream', () => {
  it('turns a quiet page into a firing one, pages, takes the acknowledgement, and is quiet again', async () => {
    const page = await open('/')
    expect(await page.locator('.verdict').innerText()).not.toContain('degrees')
    heat = 97
    await page.locator('.verdict.crit', { hasText: 'It is 97 degrees in u1' }).waitFor({ timeout: 30_000 })
    await page.locator('#watch .unacked').waitFor({ timeout: 15_000 })
    expect(await page.title()).toMatch(/^▲ 1 firing/)
    expect(await page.locator('#alerts .alert-value').innerText()).toMatch(/97[\s\S]*>\s90/)
    await page.locator('.verdict button', { hasText: 'Acknowledge' }).click()
    await page.locator('.said', { hasText: 'Acknowledged' }).waitFor()
    expect(await page.locator('.verdict').innerText()).not.toContain('Nobody has acknowledged')
    heat = 20
    await page.locator('.verdict', { hasNotText: 'degrees' }).waitFor({ timeout: 30_000 })
  }, 90_000)

  it('leaves a form alone in which somebody writes', async () => {
    const page = await open('/alerts')
    const why = page.locator('#silences input[name=why]')
    await why.fill('maintenance of u1')
    await page.locator('#silences input[name=matchers]').fill('alertname="Hot"')
    const answer = await product.fetch('/api/v2/silences', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        matchers: [{ name: 'alertname', value: 'Other', isRegex: false, isEqual: true }],
        startsAt: new Date().toISOString(),
        endsAt: new Date(Date.now() + 60_000).toISOString(),
        createdBy: 'test',
        comment: 'from elsewhere',
      }),
    })
    expect(answer.status).toBe(200)
    await page.waitForTimeout(6500)
    expect(await why.inputValue()).toBe('maintenance of u1')
    await page.locator('#silences button', { hasText: 'Silence' }).click()
    await page.locator('.said').waitFor()
    const list = await page.locator('.silences').innerText()
    expect(list).toContain('maintenance of u1')
    expect(list).toContain('from elsewhere')
    await page.locator('.silences button').first().click()
    await page.locator('.said', { hasText: 'ended' }).waitFor()
  }, 60_000)

  it('says that it is old when nothing comes any more', async () => {
    const page = await open('/', {}, async (p) => {
      await p.clock.install()
      await p.route('**/console/stream*', (route) => route.fulfill({ status: 204 }))
    })
    expect(await page.locator('.banner').count()).toBe(0)
    await page.clock.fastForward(25_000)
    await page.locator('.banner[role=alert]', { hasText: 'Paging goes on without this page' }).waitFor()
    expect(await page.locator('#fresh').innerText()).toContain('Stale')
    expect(await page.evaluate(() => document.documentElement.classList.contains('stale-page'))).toBe(true)
  })
})

describe('what people do', () => {
  it('stops all actions with a reason and goes on again', async () => {
    const page = await open('/rules')
    await page.locator('.rail [data-stop]').click()
    await page.locator('#stop-why').fill('the flag service is down')
    await page.locator('#stop .danger').click()
    await page.locator('.said', { hasText: 'stopped' }).waitFor()
    expect(await page.locator('.rail .switch').innerText()).toContain('Actions are stopped')
    await page.goto(`${product.http}/decisions`)
    expect(await page.locator('#actions').innerText()).toContain('the flag service is down')
    expect(await page.locator('#history').innerText()).toContain('the flag service is down')
    await page.locator('#actions input[name=why]').fill('it is back')
    await page.locator('#actions button').click()
    await page.locator('.said', { hasText: 'go on' }).waitFor()
  })
  it('takes no form from another site, and says what is wrong with one of ours', async () => {
    const post = (body: string, headers: Record<string, string> = {}) =>
      product.fetch('/console/actions', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body,
        redirect: 'manual',
      })
    expect((await post('do=stop&why=x', { origin: 'https://evil.example' })).status).toBe(403)
    expect((await post('do=stop&why=x', { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    const empty = await post('do=stop')
    expect(empty.status).toBe(400)
    expect(await empty.text()).toContain('why: say why')
    const away = await post('do=resume&why=x&back=https://evil.example/')
    expect(away.headers.get('location')).toBe('/decisions?done=resumed')
  })
  it('shows a rule that cannot be evaluated, first, with why', async () => {
    await until(
      'the failing rule',
      async () => (await (await product.fetch('/rules')).text()).includes('class="why"'),
      10_000,
    )
    const page = await open('/rules')
    const first = page.locator('.panel').nth(1)
    expect(await first.innerText()).toContain('heat')
    expect(await first.innerText()).toContain('fails')
    expect(await first.locator('.why').innerText()).toContain('many')
  })
})
