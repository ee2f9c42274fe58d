/** Several servers on one database and one place for data are one service, also when they die or are cut off. */
import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { Client } from 'pg'
import { makeContext } from '../src/base/context.ts'
import { runTool } from '../src/base/process.ts'
import { fileDriver } from '../src/stores/drivers/file.ts'
import { swiftDriver } from '../src/stores/drivers/swift.ts'
import { openStore } from '../src/stores/open-store.ts'
import type { StoreDriver } from '../src/stores/store.ts'
import { everyDeed } from '../src/testing/every-deed.ts'
import { ImageLoad } from '../src/testing/image-load.ts'
import { noPostgres, openPostgres } from '../src/testing/postgres.ts'
import { type Served, startServer } from '../src/testing/serve.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const full = process.env['INGOT_TEST_FULL'] === '1'
const LEASE_S = 3
const SETTLE_MS = 90_000

const temp = await tempDir()
const postgres = noPostgres ? undefined : await openPostgres()

/** Where data stands: two stores of a kind. */
interface Place {
  readonly driver: StoreDriver
  readonly options: (store: string) => Record<string, unknown>
}

const files: Place = {
  driver: fileDriver,
  options: (store) => ({ data_dir: temp(`files-${store}`) }),
}

describe('three servers on one PostgreSQL', { skip: noPostgres, timeout: 900_000 }, () => {
  it('and one directory lose nothing, and do nothing twice', () => tryServers('files', files))

  it(
    'and one Swift lose nothing, and do nothing twice',
    { skip: full ? false : 'a real Swift takes half a minute to start: INGOT_TEST_FULL=1' },
    async () => {
      const script = join(import.meta.dirname, '../scripts/swift')
      const told = await runTool([script, 'start', temp('swift')], { timeoutMs: 600_000 })
      try {
        const { auth_url, username, password } = JSON.parse(told.toString()) as Record<
          string,
          string
        >
        const auth = { auth_url, auth_version: 1, username, password }
        const options = (store: string) => ({ ...auth, container: store })
        await tryServers('swift', { driver: swiftDriver, options })
      } finally {
        await runTool([script, 'stop', temp('swift')])
      }
    },
  )
})

/** Load on three servers; one is killed, one is cut off from the database until others have taken over, and mended. */
async function tryServers(name: string, { driver, options }: Place): Promise<void> {
  assert.ok(postgres)
  const url = await postgres.createDatabase()
  await using load = await ImageLoad.open('second')
  const list = ['first', 'second'].map((id) => ({ id, type: driver.name, options: options(id) }))
  await using opened = new AsyncDisposableStack()
  const wires = await Promise.all([1, 2, 3].map(async () => opened.use(await openWire(url))))
  const servers: Served[] = []
  for (const [index, wire] of wires.entries())
    servers.push(
      opened.use(
        await startServer(temp(`${name}-${index}.yaml`), {
          data_dir: temp(`${name}-${index}`),
          database: wire.url,
          lease_s: LEASE_S,
          stores: { default: 'first', list },
          image: { show_multiple_locations: true },
          import: { web: { allowed_hosts: ['127.0.0.1'], allowed_ports: [load.webPort] } },
        }),
      ),
    )
  const [doomed, remote, steady] = servers
  const [, wire] = wires
  assert.ok(doomed && remote && steady && wire)

  const broken = new Set<string>()
  const whole = () => servers.map((server) => server.url).filter((url) => !broken.has(url))
  const ending = new AbortController()
  const running = load.run(8, whole, ending.signal, (url) => broken.has(url))
  await wait(3000)
  broken.add(doomed.url)
  await doomed.kill()
  await wait(2000)
  broken.add(remote.url)
  wire.cut()
  await wait(LEASE_S * 1000 + 4000)
  wire.mend()
  await wait(2000)
  broken.delete(remote.url)
  await wait(2000)
  await everyDeed(load.done)
  ending.abort()
  await running

  const logs = () => servers.map(({ log }) => log.slice(-80).join('\n')).join('\n--\n')
  await settled(url, logs)
  const images = await load.check(remote.url)
  assert.deepEqual(await load.check(steady.url), images, 'all servers show the same')
  const context = { ...makeContext(), dataDir: temp(name) }
  const stores = await Promise.all(
    list.map(async (store) => opened.use(await openStore(store, driver, context))),
  )
  assert.ok((await load.checkObjects(stores, images)) > 0)
  await load.readAll(steady.url, images)
  assert.deepEqual(load.faults, [], logs())
  for (const [deed, times] of Object.entries(load.done)) assert.ok(times > 0, `no ${deed} was done`)
  for (const server of [remote, steady]) assert.equal(await server.stop(), 0)
}

/** When the ledger holds no work that has not ended. */
async function settled(url: string, logs: () => string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const end = Date.now() + SETTLE_MS
  for (;;) {
    const { rows } = await client.query('select * from tasks where expires_at is null')
    if (rows.length === 0) break
    assert.ok(Date.now() < end, `work never ended: ${JSON.stringify(rows, null, 2)}\n${logs()}`)
    await wait(100)
  }
  await client.end()
}

interface Wire extends AsyncDisposable {
  /** The database, by this wire. */
  readonly url: string
  /** Nothing passes any more, either way, and nobody is told. */
  cut(): void
  /** All that was sent arrives. */
  mend(): void
}

/** A wire to the database whose socket `url` names. */
async function openWire(url: string): Promise<Wire> {
  const { pathname, searchParams } = new URL(url.replace('@/', '@localhost/'))
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer((near) => {
    const far = connect(`${searchParams.get('host')}/.s.PGSQL.5432`)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (bytes) => to.write(bytes))
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
      from.on('close', () => sockets.delete(from))
    }
    if (isCut) for (const socket of [near, far]) socket.pause()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `postgres://postgres@127.0.0.1:${port}${pathname}`,
    cut: () => {
      isCut = true
      for (const socket of sockets) socket.pause()
    },
    mend: () => {
      isCut = false
      for (const socket of sockets) socket.resume()
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
