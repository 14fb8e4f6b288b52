// The Prometheus HTTP API: what a Prometheus client, Grafana or a remote-writing Prometheus expects to find.
import type { Hono } from 'hono'
import { AppError } from '../../lib/errors.ts'
import { type Env, mount } from '../mount.ts'
import type { PrometheusDoors } from './doors.ts'
import { dataResponse, errorResponse } from './encode.ts'
import { queryRoutes } from './queries.ts'
import { statusRoutes } from './status.ts'

export const prometheusRoutes = (app: Hono<Env>, doors: PrometheusDoors): void => {
  queryRoutes(app, doors)
  statusRoutes(app, doors)
  app.post('/api/v1/write', mount(doors.remoteWrite, doors.bodies))
  for (const signal of ['metrics', 'traces', 'logs'])
    app.post(`/api/v1/otlp/v1/${signal}`, mount(doors.otlp, doors.bodies))
  app.get('/api/v1/notifications', () => dataResponse([]))
  app.all('/api/v1/*', (c) => errorResponse(new AppError('not_found', `no such endpoint: ${c.req.path}`)))
}
