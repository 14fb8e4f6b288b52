// How the Kubernetes API is reached: as the cluster tells its pods, by a kubeconfig file, or by an address with its own credentials.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, messageOf } from '../../../lib/errors.ts'
import { type Http, type HttpFactory, type HttpOptions, streamConnections } from '../../../lib/http.ts'
import { type Client, type ClientDeps, createClient } from '../client.ts'
import type { KubernetesSdConfig } from '../discovery-config.ts'
import type { HttpConfig } from '../http-config.ts'
import type { KubeApi } from './kubernetes-watch.ts'

export interface Cluster extends KubeApi {
  /** The pod's own namespace, '' where it was not asked for. */
  readonly ownNamespace: string
  close(): Promise<void>
}

interface Reached {
  readonly headers: Readonly<Record<string, string>>
  readonly options: HttpOptions
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' || Buffer.isBuffer(value) ? value.toString() : undefined

/** The client's library is large and slow to load: only who names a kubeconfig file pays for it. */
const fromKubeconfig = async (path: string): Promise<{ server: string; reach: () => Promise<Reached> }> => {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const kube = new KubeConfig()
  try {
    kube.loadFromFile(path)
  } catch (error) {
    throw new AppError('bad_data', `kubeconfig_file ${path}: ${messageOf(error)}`, { cause: error })
  }
  const cluster = kube.getCurrentCluster()
  if (!cluster)
    throw new AppError(
      'bad_data',
      `kubeconfig_file ${path}: its current-context names no cluster; set current-context`,
    )
  const reach = async (): Promise<Reached> => {
    // Tokens of files and of programs are renewed in here.
    const asked: Parameters<typeof kube.applyToHTTPSOptions>[0] = {}
    await kube.applyToHTTPSOptions(asked)
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(asked.headers ?? {}))
      if (value !== undefined) headers[name.toLowerCase()] = String(value)
    if (asked.auth) headers['authorization'] ??= `Basic ${Buffer.from(asked.auth).toString('base64')}`
    const parts = {
      ca: text(asked.ca),
      cert: text(asked.cert),
      key: text(asked.key),
      serverName: asked.servername,
    }
    const given = Object.fromEntries(Object.entries(parts).filter(([, v]) => v !== undefined))
    const { proxyUrl } = cluster
    return {
      headers,
      options: {
        tls: { ...given, verify: asked.rejectUnauthorized !== false },
        ...(proxyUrl ? { proxy: { http: proxyUrl, https: proxyUrl, none: '' } } : {}),
      },
    }
  }
  return { server: cluster.server, reach }
}

/** A client whose credentials and certificates come from elsewhere at each request. */
const reaching = (connect: HttpFactory, reach: () => Promise<Reached>): Client => {
  let made: { from: string; http: Http } | null = null
  const get = async (): Promise<{ http: Http; headers: Reached['headers'] }> => {
    const { headers, options } = await reach()
    const from = JSON.stringify(options)
    if (made?.from !== from) {
      void made?.http.close().catch(() => undefined)
      made = { from, http: connect({ ...options, connections: streamConnections }) }
    }
    return { http: made.http, headers }
  }
  return {
    send: async (request) => {
      const { http, headers } = await get()
      return http.send({ ...request, headers: { ...request.headers, ...headers } })
    },
    open: async (request) => {
      const { http, headers } = await get()
      return http.open({ ...request, headers: { ...request.headers, ...headers } })
    },
    close: async () => {
      await made?.http.close()
    },
  }
}

const inCluster = (config: KubernetesSdConfig, dir: string): HttpConfig => ({
  ...config,
  authorization: { type: 'Bearer', credentials_file: join(dir, 'token') },
  tls_config: { ca_file: join(dir, 'ca.crt'), insecure_skip_verify: false },
})

/** Connects; throws `bad_data` that names what is missing. Nothing is asked of the API yet. */
export const connectCluster = async (
  config: KubernetesSdConfig,
  deps: ClientDeps & { readonly serviceAccount: string },
): Promise<Cluster> => {
  if (config.kubeconfig_file !== undefined) {
    const { server, reach } = await fromKubeconfig(config.kubeconfig_file)
    return { server, ownNamespace: '', ...reaching(deps.connect, reach) }
  }
  if (config.api_server !== undefined)
    return { server: config.api_server, ownNamespace: '', ...createClient(config, deps) }
  if (config.environment.apiServer === '')
    throw new AppError(
      'bad_data',
      'Airboss does not run in a pod (KUBERNETES_SERVICE_HOST is not set); give api_server or kubeconfig_file',
    )
  let ownNamespace = ''
  if (config.namespaces.own_namespace) {
    const file = join(deps.serviceAccount, 'namespace')
    ownNamespace = await readFile(file, 'utf8').then(
      (name) => name.trim(),
      (error: unknown) => {
        throw new AppError('bad_data', `own_namespace: ${file}: ${messageOf(error)}`, { cause: error })
      },
    )
  }
  return {
    server: config.environment.apiServer,
    ownNamespace,
    ...createClient(inCluster(config, deps.serviceAccount), deps),
  }
}
