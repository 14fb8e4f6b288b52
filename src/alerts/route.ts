// The route tree: which receivers an alert goes to, grouped how and when.
import type { Duration } from '../lib/time.ts'
import type { Matcher } from '../model/matcher.ts'
import { type LabelSet, matcherTest, printMatchers, sortMatchers } from './matchers.ts'

/** A route as it is configured, with the names that its parent hands down left null. */
export interface RouteConfig {
  readonly receiver: string | null
  /** Null = as the parent; `all` = every label (`...`). */
  readonly groupBy: readonly string[] | 'all' | null
  readonly matchers: readonly Matcher[]
  readonly goOn: boolean
  readonly groupWait: Duration | null
  readonly groupInterval: Duration | null
  readonly repeatInterval: Duration | null
  readonly muteIntervals: readonly string[]
  readonly activeIntervals: readonly string[]
  readonly routes: readonly RouteConfig[]
}

/** A route with everything it inherits filled in. */
export interface Route {
  /** Unique in the tree: the keys on the way to it and its places among its siblings. */
  readonly id: string
  /** The matchers on the way to it (`{}/{team="a"}`): the first half of a group key, stable when siblings move. */
  readonly key: string
  readonly receiver: string
  readonly groupBy: readonly string[] | 'all'
  readonly groupWait: Duration
  readonly groupInterval: Duration
  readonly repeatInterval: Duration
  readonly muteIntervals: readonly string[]
  readonly activeIntervals: readonly string[]
  readonly goOn: boolean
  readonly matches: (labels: LabelSet) => boolean
  readonly routes: readonly Route[]
}

/** Alertmanager's defaults: 30 s, 5 min, 4 h. */
const defaults = {
  groupWait: 30_000 as Duration,
  groupInterval: 300_000 as Duration,
  repeatInterval: 14_400_000 as Duration,
}

const make = (config: RouteConfig, parent: Route | null, place: number): Route => {
  const matchers = sortMatchers(config.matchers)
  const printed = printMatchers(matchers)
  const up = parent ?? { ...defaults, receiver: '', groupBy: [] }
  const own: Route = {
    id: parent ? `${parent.id}/${printed}/${place}` : printed,
    key: parent ? `${parent.key}/${printed}` : printed,
    receiver: config.receiver ?? up.receiver,
    groupBy: config.groupBy ?? up.groupBy,
    groupWait: config.groupWait ?? up.groupWait,
    groupInterval: config.groupInterval ?? up.groupInterval,
    repeatInterval: config.repeatInterval ?? up.repeatInterval,
    muteIntervals: config.muteIntervals,
    activeIntervals: config.activeIntervals,
    goOn: config.goOn,
    matches: matcherTest(matchers),
    routes: [],
  }
  return { ...own, routes: config.routes.map((child, i) => make(child, own, i)) }
}

/** The tree with inheritance done. */
export const makeRoutes = (root: RouteConfig): Route => make(root, null, 0)

/** The routes an alert takes: in each node the first child that matches, and those after it while `continue` says so. */
export const routesFor = (route: Route, labels: LabelSet): Route[] => {
  if (!route.matches(labels)) return []
  const found: Route[] = []
  for (const child of route.routes) {
    const deeper = routesFor(child, labels)
    found.push(...deeper)
    if (deeper.length > 0 && !child.goOn) break
  }
  return found.length > 0 ? found : [route]
}

/** Every route of the tree, parents first. */
export const allRoutes = (route: Route): Route[] => [route, ...route.routes.flatMap(allRoutes)]
