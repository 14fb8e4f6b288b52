// The house's rules: floors, no door between rooms, and who may import which package. See CONTRIBUTING.md.
const floor = (name, from, to) => ({ name, severity: 'error', from: { path: from, pathNot: '\\.test\\.ts$' }, to: { path: to } })
const only = (name, packages, who) => ({
  name,
  severity: 'error',
  from: { path: '^(src|bin)/', pathNot: [who, '\\.test\\.ts$'] },
  to: { path: packages.map((p) => `node_modules/${p}(/|$)`).join('|') },
})
const rooms = 'receive|head|store|ledger|query|rules|alerts|oncall|incident|notify|fleet|rollout|flags|scale|money|act|access'
const pure =
  '^src/.+/(decode|decode-protobuf|decode-json|translate|alerting|route|group|inhibit|dedup|schedule|escalation|strategy|judge|policy|compare|roles)[.]ts$'
/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    { name: 'not-to-dev-dep', severity: 'error', from: { path: '^src', pathNot: '\\.test\\.ts$' }, to: { dependencyTypes: ['npm-dev'] } },
    floor('lib-is-the-ground', '^src/lib/', '^src/(?!lib/)'),
    floor('model-over-lib', '^src/model/', '^src/(?!lib/|model/)'),
    floor('rooms-over-model', `^src/(${rooms})/`, '^src/(api|console|app|main)'),
    {
      name: 'no-door-between-rooms',
      severity: 'error',
      from: { path: `^src/(${rooms})/` },
      to: { path: `^src/(${rooms})/`, pathNot: '^src/$1/' },
    },
    floor('surfaces-over-rooms', '^src/(api|console)/', '^src/(app|main)'),
    floor('surfaces-through-doors', '^src/(api|console)/', `^src/(${rooms})/`),
    floor('api-not-console', '^src/api/', '^src/console/'),
    floor('console-not-api', '^src/console/', '^src/api/'),
    {
      name: 'api-folders-apart',
      severity: 'error',
      from: { path: '^src/api/([^/]+)/' },
      to: { path: '^src/api/[^/]+/', pathNot: '^src/api/$1/' },
    },
    floor('app-below-main', '^src/app/', '^src/main'),
    only('only-store-knows-clickhouse', ['@clickhouse'], '^src/store/'),
    only('only-the-engine-knows-chdb', ['chdb'], '^src/store/engine/'),
    only('only-query-knows-the-grammar', ['@prometheus-io/lezer-promql', '@lezer'], '^src/query/'),
    only('only-surfaces-know-hono', ['hono', '@hono'], '^src/(api|console)/'),
    {
      name: 'only-provision-knows-dashboards',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/app/provision\\.ts$' },
      to: { path: '^dashboards/' },
    },
    {
      name: 'pure-files-know-no-io-and-no-clock',
      severity: 'error',
      from: { path: pure },
      to: { path: ['^node:', '^(fs|net|http|https|child_process|dgram|dns|tls|os|timers|worker_threads)$', '^src/lib/(clock|http|log|journal)[.]ts$'], pathNot: '^(node:)?(buffer|zlib|util|crypto)$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'src/console/browser' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
}
