import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { type FakeKubernetesOptions, startFakeKubernetes } from '../../test/kit/fake-kubernetes.ts'
import { podOf } from '../../test/kit/kubernetes-objects.ts'
import { tempDir } from '../../test/kit/temp-dir.ts'
import { until } from '../../test/kit/until.ts'
import { createHttp } from './http.ts'
import {
  accessProblems,
  kubernetesAccessShape,
  linesOf,
  openKubernetes,
  resolvedAccess,
} from './kubernetes.ts'

const signal = new AbortController().signal
const access = (value: object) => z.strictObject(kubernetesAccessShape({})).parse(value)
const started = async (options: FakeKubernetesOptions) => {
  const fake = await startFakeKubernetes(options)
  onTestFinished(() => fake.close())
  fake.put(podOf('p', 'a', '1'))
  return fake
}
const pods = { path: '/api/v1/pods', signal }

test('a pod finds its own cluster, and reads its token anew when it is renewed', async () => {
  const fake = await started({ https: true, tokens: { first: 'sa', second: 'sa' } })
  const serviceAccount = join(tempDir(), 'sa')
  mkdirSync(serviceAccount)
  const put = (name: string, text: string): void => writeFileSync(join(serviceAccount, name), text)
  put('token', 'first')
  put('ca.crt', fake.ca)
  put('namespace', 'airboss')
  const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: new URL(fake.url).port }
  const api = await openKubernetes(access({}), { http: createHttp, env, serviceAccount })
  onTestFinished(() => api.close())
  expect([api.namespace, api.server]).toEqual(['airboss', fake.url])
  expect(await api.send(pods)).toMatchObject({ status: 200, body: { items: [{ metadata: { name: 'p' } }] } })
  put('token', 'gone')
  expect((await api.send(pods)).status).toBe(401)
  put('token', 'second')
  expect((await api.send(pods)).status).toBe(200)
  await expect(openKubernetes(access({}), { http: createHttp, env: {} })).rejects.toThrow(
    /this is no pod.*kubeconfig_file/,
  )
})

test('a kubeconfig beside the configuration: certificates, contexts, plain HTTP as of kubectl proxy', async () => {
  const fake = await started({ https: true })
  const plain = await started({})
  const dir = tempDir()
  writeFileSync(join(dir, 'secure'), fake.kubeconfig('certificate'))
  writeFileSync(join(dir, 'plain'), plain.kubeconfig('none'))
  const open = (value: object) =>
    openKubernetes(resolvedAccess(access(value), join(dir, 'airboss.yaml')), { http: createHttp, env: {} })
  for (const [file, at] of [
    ['secure', fake],
    ['plain', plain],
  ] as const) {
    const api = await open({ kubeconfig_file: file })
    onTestFinished(() => api.close())
    expect([file, (await api.send(pods)).status]).toEqual([file, 200])
    expect(at.asked.at(-1)?.user).toBe(file === 'secure' ? 'fake-kubernetes-client' : 'system:anonymous')
  }
  await expect(open({ kubeconfig_file: 'secure', context: 'other' })).rejects.toThrow(
    /no context "other"; there is fake/,
  )
  await expect(open({ kubeconfig_file: 'nowhere' })).rejects.toThrow(/kubeconfig .*nowhere/)
})

test('an address with token and CA; a certificate that is not trusted is refused', async () => {
  const fake = await started({ https: true, tokens: { good: 'me' } })
  const ca_file = join(tempDir(), 'ca.crt')
  writeFileSync(ca_file, fake.ca)
  const open = async (value: object) => {
    const api = await openKubernetes(access({ api_server: `${fake.url}/`, token: 'good', ...value }), {
      http: createHttp,
      env: {},
    })
    onTestFinished(() => api.close())
    return api
  }
  expect((await (await open({ tls_config: { ca_file } })).send(pods)).status).toBe(200)
  expect((await (await open({ tls_config: { insecure_skip_verify: true } })).send(pods)).status).toBe(200)
  await expect((await open({})).send(pods)).rejects.toMatchObject({ code: 'unavailable', retryable: true })
})

test('many open watches do not keep requests waiting', async () => {
  const fake = await started({})
  const api = await openKubernetes(access({ api_server: fake.url }), { http: createHttp, env: {} })
  const life = new AbortController()
  onTestFinished(async () => {
    life.abort()
    await api.close()
  })
  const opened: string[] = []
  const watching = Array.from({ length: 24 }, async (_, i) => {
    const path = `/api/v1/namespaces/n${i}/pods`
    await api.watch(path, { resourceVersion: '1' }, life.signal)
    opened.push(path)
  })
  for (const w of watching) w.catch(() => undefined)
  await until('all watches', () => opened.length === 24)
  expect((await api.send({ ...pods, signal: AbortSignal.timeout(20_000) })).status).toBe(200)
})

test('what does not go together is named', () => {
  const keys = (value: object): string[] => accessProblems(access(value)).map(([key]) => key)
  expect(keys({ api_server: 'https://x', kubeconfig_file: 'y' })).toEqual(['kubeconfig_file'])
  expect(keys({ token: 'x' })).toEqual(['token'])
  expect(keys({ context: 'x' })).toEqual(['context'])
  expect(keys({ tls_config: { cert_file: 'x' } })).toEqual(['tls_config'])
  expect(keys({})).toEqual([])
})

test('lines, wherever the parts are cut', async () => {
  const text = '{"a":1}\n\n{"b":"ä"}\nrest'
  for (const size of [1, 2, 5, 100]) {
    const bytes = Buffer.from(text)
    const parts = async function* () {
      for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size)
    }
    const lines: string[] = []
    for await (const line of linesOf(parts())) lines.push(line)
    expect(lines).toEqual(['{"a":1}', '', '{"b":"ä"}', 'rest'])
  }
})
