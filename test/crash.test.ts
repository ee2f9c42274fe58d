/** The server is killed at random moments, again and again, and nothing is lost, half-made, or left behind. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { makeContext } from '../src/base/context.ts'
import { fileDriver } from '../src/stores/drivers/file.ts'
import { openStore } from '../src/stores/open-store.ts'
import { everyDeed } from '../src/testing/every-deed.ts'
import { ImageLoad } from '../src/testing/image-load.ts'
import { type Served, startServer } from '../src/testing/serve.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const full = process.env['INGOT_TEST_FULL'] === '1'
const KILLS = Number(process.env['INGOT_TEST_KILLS'] ?? (full ? 200 : 8))
const CLIENTS = 6
const SETTLE_MS = 60_000

const temp = await tempDir()

test(`a server that is killed ${KILLS} times loses nothing, and leaves nothing behind`, async () => {
  await using load = await ImageLoad.open('second')
  const dataDir = temp('data')
  const storeConfigs = ['first', 'second'].map((id) => ({
    id,
    type: 'file',
    options: { data_dir: temp(id) },
  }))
  const context = { ...makeContext(), dataDir }
  const stores = await Promise.all(
    storeConfigs.map((store) => openStore(store, fileDriver, context)),
  )
  const config = {
    data_dir: dataDir,
    lease_s: 1,
    stores: { default: 'first', list: storeConfigs },
    image: { show_multiple_locations: true },
    import: { web: { allowed_hosts: ['127.0.0.1'], allowed_ports: [load.webPort] } },
  }
  await using opened = new AsyncDisposableStack()
  const restart = async () => opened.use(await startServer(temp('ingot.yaml'), config))
  let server = await restart()
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const killing = new AbortController()
    const running = load.run(CLIENTS, () => [server.url], killing.signal)
    await wait(randomInt(30, 1500))
    if (kill === KILLS) await everyDeed(load.done)
    killing.abort()
    await server.kill()
    await running
    const before = server
    server = await restart()
    await settled(dataDir, server)
    const images = await load.check(server.url)
    await load.checkObjects(stores, images)
    for (const file of await readdir(`${dataDir}/spool`))
      load.faults.push(`${file} was left in the spool`)
    assert.deepEqual(load.faults, [], `after kill ${kill}\n${tail(before)}\n--\n${tail(server)}`)
  }
  await load.readAll(server.url, await load.check(server.url))
  assert.deepEqual(load.faults, [])
  assert.equal(await server.stop(), 0)
  for (const [deed, times] of Object.entries(load.done)) assert.ok(times > 0, `no ${deed} was done`)
})

/** When the ledger holds no work that has not ended. */
async function settled(dataDir: string, server: Served): Promise<void> {
  const catalog = new DatabaseSync(`${dataDir}/catalog.db`, { readOnly: true })
  const unfinished = catalog.prepare('select * from tasks where expires_at is null')
  const end = Date.now() + SETTLE_MS
  while (unfinished.all().length > 0) {
    assert.ok(
      Date.now() < end,
      `work never ended: ${JSON.stringify(unfinished.all(), null, 2)}\n${tail(server)}`,
    )
    await wait(50)
  }
  catalog.close()
}

function tail({ log }: Served): string {
  return log.slice(-60).join('\n')
}
