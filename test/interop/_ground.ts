/** What the suites of clients share: a server with two stores and a cache, and a web server it may fetch from. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { startServer } from '../../src/testing/serve.ts'
import { openWebServer } from '../../src/testing/web-server.ts'
import { MiB } from '../../src/base/units.ts'
import { makeToken, hashToken } from '../../src/access/identity/token-hash.ts'
import { stringify } from 'yaml'
import type { Person } from './_clients.ts'

/** Bytes that are of no disk format. */
export const bytes = randomBytes(3 * MiB)

export interface Ground extends AsyncDisposable {
  readonly url: string
  /** Of the web server; `/disk.raw` are the `bytes`. */
  readonly web: string
}

/** A server in a directory of its own, which has the `bytes` as `disk.raw`; with what is given over its configuration. */
export async function openGround(directory: string, config: object = {}): Promise<Ground> {
  mkdirSync(directory, { recursive: true })
  writeFileSync(`${directory}/disk.raw`, bytes)
  await using opened = new AsyncDisposableStack()
  const web = opened.use(await openWebServer({ '/disk.raw': bytes }))
  const server = opened.use(
    await startServer(`${directory}/ingot.yaml`, {
      data_dir: `${directory}/data`,
      stores: {
        default: 'fast',
        list: [
          { id: 'fast', type: 'file', description: 'of here' },
          { id: 'slow', type: 'file', options: { data_dir: `${directory}/slow` } },
          { id: 'web', type: 'http', options: { allowed_hosts: ['127.0.0.1'] } },
        ],
      },
      cache: { enabled: true },
      import: {
        steps: ['decompress', 'convert'],
        web: { allowed_hosts: ['127.0.0.1'], allowed_ports: [] },
      },
      ...config,
    }),
  )
  const closing = opened.move()
  return {
    url: server.url,
    web: web.url,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** Ids of projects look like Keystone's, for which clients would ask it otherwise. */
export const PROJECTS = {
  admin: '11111111111111111111111111111111',
  alice: '22222222222222222222222222222222',
  bob: '33333333333333333333333333333333',
}

const holder = (name: keyof typeof PROJECTS, token: string, role: string) => ({
  name,
  hash: hashToken(token),
  project: PROJECTS[name],
  roles: [role],
})

/** Tokens of an administrator and of two members of different projects, and the file that holds them. */
export function makeTokens(file: string) {
  const [admin, alice, bob] = [makeToken(), makeToken(), makeToken()]
  const tokens = [
    holder('admin', admin, 'admin'),
    holder('alice', alice, 'member'),
    holder('bob', bob, 'member'),
  ]
  writeFileSync(file, stringify({ tokens }), { mode: 0o600 })
  return { admin, alice, bob }
}

/** Asks again until the answer is as wanted: imports and the cache work in the background. */
export async function eventually<T>(ask: () => Promise<T>, isWanted: (answer: T) => boolean) {
  const end = Date.now() + 60_000
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    if (Date.now() > end) throw new Error(`it stays ${JSON.stringify(answer)}`)
  }
}

/** The image once it has this status; each look is a command, which takes its time. */
export async function untilStatus(person: Person, id: string, status: string) {
  return await eventually(
    () => person.json<OpenstackImage>(`image show ${id}`),
    (image) => image.status === status,
  )
}

/** An image as `openstack image show -f json` prints it. */
export interface OpenstackImage {
  readonly id: string
  readonly name: string
  readonly status: string
  readonly visibility: string
  readonly size: number
  readonly checksum: string
  readonly disk_format: string
  readonly container_format: string
  readonly min_disk: number
  readonly min_ram: number
  readonly protected: boolean
  readonly owner: string
  readonly tags: readonly string[]
  readonly properties: Readonly<Record<string, unknown>>
}
