// A stand-in for Grafana's HTTP API on loopback: folders, data sources and dashboards with its status codes and bodies.
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

// biome-ignore lint/suspicious/noExplicitAny: whatever was posted
type Json = any

interface Reply {
  readonly status: number
  readonly body: Json
}

export interface FakeGrafana {
  readonly url: string
  readonly folders: Map<string, Json>
  readonly sources: Map<string, Json>
  readonly dashboards: Map<string, Json>
  /** `METHOD path` of each request, in order. */
  readonly asked: string[]
  /** Answers for the next requests of a path, before the usual ones. */
  readonly next: { path: string; reply: Reply }[]
  close(): Promise<void>
}

const reply = (status: number, body: Json): Reply => ({ status, body })
const notFound = (what: string): Reply => reply(404, { message: `${what} not found`, status: 'not-found' })

const bodyOf = async (request: IncomingMessage): Promise<Json> => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  const text = Buffer.concat(parts).toString()
  return text === '' ? {} : JSON.parse(text)
}

export const startFakeGrafana = async ({ token = '' } = {}): Promise<FakeGrafana> => {
  const folders = new Map<string, Json>()
  const sources = new Map<string, Json>()
  const dashboards = new Map<string, Json>()
  const asked: string[] = []
  const next: FakeGrafana['next'] = []
  let id = 0

  const folder = (method: string, uid: string, body: Json): Reply => {
    if (method === 'GET') return folders.has(uid) ? reply(200, folders.get(uid)) : notFound('folder')
    if (folders.has(body.uid))
      return reply(412, {
        message: 'a folder with the same uid already exists in the current location',
        status: 'version-mismatch',
      })
    folders.set(body.uid, { id: ++id, uid: body.uid, title: body.title, version: 1 })
    return reply(200, folders.get(body.uid))
  }
  const source = (method: string, uid: string, body: Json): Reply => {
    if (method === 'GET') return sources.has(uid) ? reply(200, sources.get(uid)) : notFound('Data source')
    if (method === 'POST') {
      if ([...sources.values()].some((s) => s.name === body.name || s.uid === body.uid))
        return reply(409, { message: 'data source with the same name already exists', traceID: '' })
      sources.set(body.uid, { ...body, id: ++id, version: 1, readOnly: false })
      return reply(200, {
        datasource: sources.get(body.uid),
        id,
        message: 'Datasource added',
        name: body.name,
      })
    }
    const known = sources.get(uid)
    if (!known) return notFound('Data source')
    if (known.readOnly) return reply(403, { message: 'Cannot update read-only data source' })
    if (body.version !== undefined && body.version !== known.version)
      return reply(409, {
        message: 'Datasource has already been updated by someone else. Please reload and try again',
      })
    sources.set(uid, { ...body, id: known.id, version: known.version + 1, readOnly: false })
    return reply(200, {
      datasource: sources.get(uid),
      id: known.id,
      message: 'Datasource updated',
      name: body.name,
    })
  }
  const dashboard = (body: Json): Reply => {
    const { dashboard: model, folderUid, overwrite } = body
    if (typeof model?.title !== 'string' || model.title === '')
      return reply(400, { message: 'Dashboard title cannot be empty', status: 'empty-name' })
    if (String(model.uid ?? '').length > 40) return reply(400, { message: 'uid too long, max 40 characters' })
    if (folderUid && !folders.has(folderUid))
      return reply(400, { message: 'folder not found', status: 'not-found' })
    const known = dashboards.get(model.uid)
    if (known && !overwrite && model.version !== known.version)
      return reply(412, {
        message: 'The dashboard has been changed by someone else',
        status: 'version-mismatch',
      })
    const version = (known?.version ?? 0) + 1
    dashboards.set(model.uid, { model, folderUid, version })
    const slug = model.title.toLowerCase().replace(/[^a-z0-9]+/g, '-')
    return reply(200, {
      id: ++id,
      uid: model.uid,
      url: `/d/${model.uid}/${slug}`,
      status: 'success',
      version,
      slug,
      folderUid,
    })
  }
  const answer = (request: IncomingMessage, body: Json): Reply => {
    const path = request.url ?? ''
    const method = request.method ?? ''
    asked.push(`${method} ${path}`)
    if (token !== '' && request.headers.authorization !== `Bearer ${token}`)
      return reply(401, {
        message: 'Unauthorized',
        messageId: 'api-key.invalid',
        statusCode: 401,
        traceID: '',
      })
    const i = next.findIndex((n) => n.path === path)
    if (i >= 0) return next.splice(i, 1)[0]!.reply
    if (path.startsWith('/api/folders')) return folder(method, path.slice('/api/folders/'.length), body)
    if (path.startsWith('/api/datasources'))
      return source(method, path.slice('/api/datasources/uid/'.length), body)
    if (path === '/api/dashboards/db' && method === 'POST') return dashboard(body)
    return notFound('Page')
  }
  const server = createServer((request, response) => {
    bodyOf(request).then(
      (body) => {
        const { status, body: said } = answer(request, body)
        response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8' })
        response.end(typeof said === 'string' ? said : JSON.stringify(said))
      },
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    folders,
    sources,
    dashboards,
    asked,
    next,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
