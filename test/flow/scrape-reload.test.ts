// The product itself: targets of a discovery file come and go, and a reload puts other scrapes in force.
import { expect, onTestFinished, test } from 'vitest'
import { type Product, startProduct } from '../kit/product.ts'
import { metricsPage, serve } from '../kit/scraping.ts'
import { until } from '../kit/until.ts'

const patience = 60_000
interface Targets {
  readonly activeTargets: {
    readonly labels: Record<string, string>
    readonly discoveredLabels: Record<string, string>
    readonly scrapePool: string
    readonly scrapeInterval: string
    readonly health: string
  }[]
  readonly droppedTargets: {
    readonly discoveredLabels: Record<string, string>
    readonly scrapePool: string
  }[]
  readonly droppedTargetCounts: Record<string, number>
}
const targets = async (product: Product, query = ''): Promise<Targets> =>
  ((await (await product.fetch(`/api/v1/targets${query}`)).json()) as { data: Targets }).data
const begin = async (files: Record<string, string>): Promise<Product> => {
  const product = await startProduct({ files })
  onTestFinished(() => product.dispose())
  return product
}
const config = (jobs: string, more = ''): string =>
  `global: {scrape_interval: 1s, scrape_timeout: 1s}\nhost: {enabled: false}\n${more}scrape_configs:\n${jobs}`

test('a target added to a file appears, one taken out ends with stale markers, a broken file changes nothing', async () => {
  const address = await serve(metricsPage(() => 'm 1\n'))
  const other = await serve(metricsPage(() => 'm 2\n'))
  const product = await begin({
    'airboss.yaml': config(`
  - job_name: files
    file_sd_configs: [{files: ['targets/*.yml'], refresh_interval: 1s}]
    relabel_configs: [{source_labels: [__address__], regex: '.*:9', action: drop}]
`),
    'targets/a.yml': `- targets: ['${address}', 'localhost:9']\n`,
  })
  const value = (instance: string): Promise<number | null> => product.value(`m{instance="${instance}"}`)
  await until('the first', async () => (await value(address)) === 1, patience)
  product.write('targets/b.yml', `- {targets: ['${other}'], labels: {team: shop}}\n`)
  await until('the second', async () => (await product.value('m{team="shop"}')) === 2, patience)

  product.write('targets/b.yml', '- {targets: [')
  await until(
    'word of the broken file',
    async () => (await product.value('airboss_sd_failing_sources{mechanism="file"}')) === 1,
    patience,
  )
  expect((await targets(product, '?state=active&scrapePool=files')).activeTargets).toHaveLength(2)
  product.write('targets/b.yml', '[]\n')
  await until('the end of the second', async () => (await value(other)) === null, patience)
  await until(
    'its up too',
    async () => (await product.query(`up{instance="${other}"}`)).length === 0,
    patience,
  )
  expect(await value(address)).toBe(1)

  const shown = await targets(product, '?scrapePool=files')
  expect(shown.activeTargets).toMatchObject([
    { labels: { instance: address, job: 'files' }, scrapePool: 'files', scrapeInterval: '1s', health: 'up' },
  ])
  expect(shown.activeTargets[0]!.discoveredLabels).toMatchObject({ __address__: address, __scheme__: 'http' })
  expect(shown.droppedTargets).toMatchObject([
    { scrapePool: 'files', discoveredLabels: { __address__: 'localhost:9' } },
  ])
  expect(shown.droppedTargetCounts).toEqual({ files: 1 })
  expect(await targets(product, '?state=dropped&scrapePool=airboss')).toMatchObject({
    activeTargets: [],
    droppedTargets: [],
    droppedTargetCounts: { airboss: 0 },
  })
  const pools = (await (await product.fetch('/api/v1/scrape_pools')).json()) as { data: object }
  expect(pools.data).toEqual({ scrapePools: ['airboss', 'files'] })
})

test('a reload, by request and by SIGHUP, takes jobs, global defaults and scrape_config_files; a wrong one changes nothing', async () => {
  const address = await serve(metricsPage((request) => `m{at="${request.url}"} 1\n`))
  const job = (name: string): string =>
    `  - {job_name: ${name}, metrics_path: /${name}, static_configs: [{targets: ['${address}']}]}\n`
  const product = await begin({ 'airboss.yaml': config(job('one')) })
  const there = (name: string): Promise<unknown> =>
    until(`job ${name}`, async () => (await product.value(`m{job="${name}", at="/${name}"}`)) === 1, patience)
  await there('one')

  product.write('more/two.yml', `scrape_configs:\n${job('two')}`)
  product.write('airboss.yaml', config(job('three'), "scrape_config_files: ['more/*.yml']\n"))
  expect((await product.fetch('/-/reload', { method: 'POST' })).status).toBe(200)
  await there('two')
  await there('three')
  await until('the end of one', async () => (await product.value('m{job="one"}')) === null, patience)

  product.write('more/two.yml', `scrape_configs:\n${job('three')}`)
  const refused = await product.fetch('/-/reload', { method: 'POST' })
  expect(refused.status).toBe(400)
  expect(await refused.text()).toMatch(/airboss\.yaml:\d+: scrape_config_files\[0\]: job three of .*two\.yml/)
  product.write('more/two.yml', 'scrape_configs:\n  - job_name: x\n    metrics_pat: /\n')
  expect(await (await product.fetch('/-/reload', { method: 'POST' })).text()).toMatch(
    /two\.yml:3: scrape_configs\[0\]\.metrics_pat: unknown key/,
  )
  expect((await targets(product)).activeTargets.map((t) => t.scrapePool).sort()).toEqual([
    'airboss',
    'three',
    'two',
  ])

  product.write('more/two.yml', `scrape_configs:\n${job('four')}`)
  product.write(
    'airboss.yaml',
    config(job('three'), "scrape_config_files: ['more/*.yml']\n").replace(
      'scrape_timeout: 1s',
      'scrape_timeout: 1s, extra_scrape_metrics: true, sample_limit: 7',
    ),
  )
  product.signal('SIGHUP')
  await there('four')
  await until(
    'the limit of all jobs',
    async () => (await product.value('scrape_sample_limit{job="three"}')) === 7,
    patience,
  )
  expect(product.said()).not.toContain('these sections changed')
})
