/** The server is killed while it builds, again and again: no order is lost, nothing half-made or held elsewhere stays. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { KiB } from '../src/base/units.ts'
import { everyDeed } from '../src/testing/every-deed.ts'
import { type Served, startServer } from '../src/testing/serve.ts'
import { tempDir } from '../src/testing/temp-dir.ts'
import { mockTemplate } from '../src/testing/test-factory.ts'

const full = process.env['INGOT_TEST_FULL'] === '1'
const KILLS = Number(process.env['INGOT_TEST_KILLS'] ?? (full ? 100 : 3))
const CLIENTS = 6
const SETTLE_MS = 60_000
const SIZE = 64 * KiB

const temp = await tempDir()

interface Build {
  readonly id: string
  readonly type: string
  readonly status: string
  readonly error: string | null
  readonly parent_id: string | null
  readonly image_id: string | null
}

/** What was answered with 202, and what was asked for, whether it was answered or not. */
const ordered = new Set<string>()
const deleted = new Set<string>()
/** What clients were told that they must not be. */
const faults: string[] = []
const done = { order: 0, cancel: 0, retry: 0, delete: 0 }

async function ask(url: string, line: string, body?: object) {
  const [method = '', path = ''] = line.split(' ')
  const answer = await fetch(url + path, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  const text = await answer.text()
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look at what they expect
  const json: any = text.startsWith('{') ? JSON.parse(text) : undefined
  return { status: answer.status, json }
}

/** Orders, and changes its mind about, builds of every type until the server is gone. */
async function client(url: string, ending: AbortSignal): Promise<void> {
  while (!ending.aborted)
    try {
      await work(url)
    } catch (error) {
      if (error instanceof assert.AssertionError) faults.push(error.message)
      return // the server is gone
    }
}

async function work(url: string): Promise<void> {
  const { status, json } = await ask(url, 'POST /ingot/v1/builds', randomOrder())
  assert.equal(status, 202)
  done.order += 1
  ordered.add(json.id)
  await wait(randomInt(150))
  await change(url, 'cancel', json.id)
  for (const deed of ['retry', 'delete'] as const)
    await change(url, deed, [...ordered][randomInt(ordered.size)] ?? '')
}

/** Half of the time; that it cannot be done with such a build now is no fault. */
async function change(url: string, deed: keyof typeof done, id: string): Promise<void> {
  if (randomInt(2) === 0) return
  if (deed === 'delete') deleted.add(id)
  const path = `/ingot/v1/builds/${id}`
  const { status } = await ask(url, deed === 'delete' ? `DELETE ${path}` : `POST ${path}/${deed}`)
  assert.ok(status < 500, `${deed}: ${status}`)
  if (status < 300) done[deed] += 1
}

function randomOrder(): object {
  const type = ['base', 'target', 'provider'][randomInt(3)]
  const parameters = {
    mock_wait: randomInt(300) / 1000,
    mock_hold: randomInt(4),
    ...(type === 'provider' && { mock_push_hold: randomInt(2) === 0 }),
    ...(randomInt(6) === 0 && { mock_fail: 'as it was told' }),
  }
  return {
    type,
    template: mockTemplate().text,
    parameters,
    ...(type !== 'base' && { target: 'mock' }),
    ...(type === 'provider' && { provider: 'there' }),
  }
}

async function readBuilds(url: string): Promise<Map<string, Build>> {
  const builds = new Map<string, Build>()
  for (let path: string | undefined = '/ingot/v1/builds?limit=1000'; path !== undefined;) {
    const { json } = await ask(url, `GET ${path}`)
    for (const build of json.builds as Build[]) builds.set(build.id, build)
    path = json.next as string | undefined
  }
  return builds
}

async function readImages(url: string): Promise<{ id: string; size: number; status: string }[]> {
  const images = []
  for (let path: string | undefined = '/v2/images?limit=1000'; path !== undefined;) {
    const { json } = await ask(url, `GET ${path}`)
    images.push(...(json.images as { id: string; size: number; status: string }[]))
    path = json.next as string | undefined
  }
  return images
}

/** Whatever is wrong with what the server has, when all work has ended. */
async function lookFor(url: string): Promise<void> {
  const builds = await readBuilds(url)
  for (const id of ordered)
    if (!builds.has(id) && !deleted.has(id)) faults.push(`build ${id} was lost`)
  for (const { id, type, status, error, parent_id: parentId } of builds.values()) {
    const told = `${type} build ${id} is ${status}`
    if (!['COMPLETE', 'FAILED', 'DELETED'].includes(status)) faults.push(told)
    if (status === 'FAILED' && !error) faults.push(`${told}, and does not say why`)
    const parent = parentId === null ? undefined : builds.get(parentId)
    if (status === 'COMPLETE' && parentId !== null && parent?.status !== 'COMPLETE')
      faults.push(`${told}, made of one that is ${parent?.status ?? 'gone'}`)
  }
  const bodies = new Set<string>()
  for (const { id, status, image_id: imageId, type } of builds.values())
    if (status === 'COMPLETE' && type === 'base') bodies.add(imageId ?? `none of ${id}`)
  for (const { id, size, status } of await readImages(url)) {
    if (!bodies.delete(id)) faults.push(`image ${id} is the body of nothing`)
    if (status !== 'active' || size !== SIZE) faults.push(`image ${id} is ${status}, ${size}`)
  }
  for (const id of bodies) faults.push(`there is no body ${id}`)
  const { json: left } = await ask(url, 'GET /ingot/v1/leftovers')
  if (left.leftovers.length > 0) faults.push(`left: ${JSON.stringify(left.leftovers)}`)
}

async function list(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => [])
}

test(`a server that is killed ${KILLS} times while it builds ends every build, and leaves nothing`, async () => {
  const config = {
    data_dir: temp('data'),
    cache_dir: temp('cache'),
    lease_s: 1,
    image: { page_size: 1000 },
    factory: {
      work_dir: temp('work'),
      providers: { there: { target: 'mock', options: {}, credentials: { password: 'x' } } },
    },
  }
  await using opened = new AsyncDisposableStack()
  const restart = async () => opened.use(await startServer(temp('ingot.yaml'), config))
  let server = await restart()
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const killing = new AbortController()
    const { url } = server
    const running = Array.from({ length: CLIENTS }, () => client(url, killing.signal))
    await wait(randomInt(100, 1500))
    if (kill === KILLS) await everyDeed(done)
    killing.abort()
    await server.kill()
    await Promise.all(running)
    server = await restart()
    await settled(server)
    await lookFor(server.url)
    for (const file of await list(temp('work'))) faults.push(`${file} was left in work_dir`)
    for (const file of await list(temp('cache/mock-things'))) faults.push(`${file} is held still`)
    assert.deepEqual(faults, [], `after kill ${kill}\n${tail(server)}`)
  }
  assert.equal(await server.stop(), 0)
  for (const [deed, times] of Object.entries(done)) assert.ok(times > 0, `no ${deed} was done`)
})

/** When the ledger holds no work that has not ended. */
async function settled(server: Served): Promise<void> {
  using catalog = new DatabaseSync(`${temp('data')}/catalog.db`, { readOnly: true })
  const unfinished = catalog.prepare('select * from tasks where expires_at is null')
  const end = Date.now() + SETTLE_MS
  while (unfinished.all().length > 0) {
    assert.ok(
      Date.now() < end,
      `never ended: ${JSON.stringify(unfinished.all(), null, 2)}\n${tail(server)}`,
    )
    await wait(50)
  }
}

function tail({ log }: Served): string {
  return log.slice(-40).join('\n')
}
