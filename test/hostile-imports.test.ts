/** Images, and addresses of images, that mean no good, by every way into the real server. */
import assert from 'node:assert/strict'
import { mkdir, rm } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { makeBaseImages } from '../src/testing/hostile/base-images.ts'
import { hostileImages } from '../src/testing/hostile/hostile-images.ts'
import { openHostileScene, TOKENS } from '../src/testing/hostile-scene.ts'

const full = process.env['INGOT_TEST_FULL'] === '1'
const PASSWORD = 'pass-9d2b'
const scene = await openHostileScene()
const { temp, pages, web, server, faults } = scene
const { ask, put, create, shown, until, isQueuedAgain, nothingIsLeft } = scene

describe('a hostile image', () => {
  const known = new Set(['qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi', 'iso'])

  it('is refused by every way in, for what is wrong with it, and nothing of it is left', async () => {
    await mkdir(temp('bases'))
    const all = hostileImages(await makeBaseImages(temp('bases')))
    await rm(temp('bases'), { recursive: true })
    const images = all.filter(({ claim }) => known.has(claim))
    const step = full ? 1 : Math.ceil(images.length / 20)
    for (const [index, image] of images.entries()) {
      if (index % step !== 0) continue
      const bytes = await image.make()
      pages[`/image-${index}`] = bytes
      for (const bring of [uploaded, stagedAndImported, downloaded]) {
        const id = await create(image.claim)
        const { status, message } = await bring(id, bytes, `/image-${index}`)
        assert.match(status, /^(415|failure)$/, `${bring.name}, ${image.name}: ${message}`)
        assert.ok(message.length > 60, message)
        await isQueuedAgain(id)
        await nothingIsLeft(id)
      }
    }
  })
})

const pageUrl = (path: string, host = 'localhost') =>
  `http://${host}:${new URL(web.url).port}${path}`

/** How something ended: a task, or a request that was refused. */
interface Ending {
  readonly status: string
  readonly message: string
}

async function uploaded(id: string, bytes: Uint8Array): Promise<Ending> {
  const { status, json } = await put(id, bytes)
  return { status: `${status}`, message: json?.message ?? '' }
}

/** What is wrong with staged data may be told by either. */
async function stagedAndImported(id: string, bytes: Uint8Array): Promise<Ending> {
  const { status, json } = await put(id, bytes, 'stage')
  if (status === 204) return await imported(id, { name: 'glance-direct' })
  return { status: `${status}`, message: json?.message ?? '' }
}

async function downloaded(id: string, _bytes: Uint8Array, path: string): Promise<Ending> {
  return await webDownload(id, pageUrl(path))
}

const webDownload = async (id: string, uri: string) =>
  await imported(id, { name: 'web-download', uri })

async function imported(id: string, method: { name: string; uri?: string }): Promise<Ending> {
  const body = { method }
  const begun = await ask(`POST /v2/images/${id}/import`, { body })
  if (begun.status !== 202) return { status: `${begun.status}`, message: begun.json.message }
  return await until(async () => {
    const [task] = (await ask(`GET /v2/images/${id}/tasks`)).json.tasks
    return ['success', 'failure'].includes(task.status) ? task : undefined
  }, `the import ${method.name} ends`)
}

describe('an address to download from', () => {
  it('that is not allowed is never asked, however it is spelled or come to', async () => {
    const { port } = new URL(web.url)
    const hosts = [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '0.0.0.0',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[64:ff9b::7f00:1]',
      '127。0。0。1',
      'localhost@127.0.0.1',
    ]
    const addresses = hosts.map((host) => `http://${host}:${port}/inside`)
    for (const uri of [...addresses, 'file:///etc/passwd', `ftp://localhost:${port}/inside`]) {
      const id = await create()
      const { status, message } = await webDownload(id, uri)
      assert.match(status, /^(400|failure)$/, uri)
      assert.match(message, /may not be asked for/, uri)
    }
    const sentOn = await webDownload(await create(), pageUrl('/sent-on'))
    assert.equal(sentOn.status, 'failure')
    assert.ok(!web.asked.includes('/inside'))
  })

  it('keeps its password, and callers their tokens, from tasks, answers and the log', async () => {
    const uri = `http://someone:${PASSWORD}@localhost:${new URL(web.url).port}/none`
    const id = await create()
    const task = await webDownload(id, uri)
    assert.match(task.message, /404/)
    const shownTo = await ask(`GET /v2/images/${id}/tasks`)
    const told = [shownTo.text, JSON.stringify(await shown(id)), ...server.log].join('\n')
    for (const secret of [PASSWORD, ...Object.values(TOKENS)])
      assert.ok(!told.includes(secret), `${secret} is told`)
  })
})

it('nothing of all this was a fault of the server', () => assert.deepEqual(faults(), []))
