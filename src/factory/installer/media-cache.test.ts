import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { isFailure } from '../../base/failure.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { flawedPage, openWebServer } from '../../testing/web-server.ts'
import { OWNERS_REACH } from '../reach.ts'
import { fetchMedium, type MediaScene, type MediumOrder } from './media-cache.ts'

const inDir = await tempDir()
const MEDIUM = Buffer.alloc(300_000, 'medium ')
const sumOf = (algorithm: string) => createHash(algorithm).update(MEDIUM).digest('hex')

let scenes = 0
function makeScene(): MediaScene & { readonly told: string[] } {
  const told: string[] = []
  return {
    context: makeContext(),
    reach: OWNERS_REACH,
    directory: inDir(`media-${scenes++}`),
    retries: 1,
    pauseMs: 1,
    told,
    tell: (what) => void told.push(what),
  }
}

/** What is kept, without locks and entries. */
async function contents(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.startsWith('sha256-'))
}

test('a medium is fetched once, asked for again, and taken as long as it is the same', async () => {
  let asked = 0
  let etag = '"1"'
  await using server = await openWebServer({
    '/a.iso': (request, response) => {
      asked++
      const isSame = request.headers['if-none-match'] === etag
      response.writeHead(isSame ? 304 : 200, { etag })
      response.end(isSame ? undefined : `${MEDIUM.toString()}${etag}`)
    },
  })
  const scene = makeScene()
  const order = { url: `${server.url}/a.iso` }
  const first = await fetchMedium(order, scene)
  assert.equal(await fetchMedium(order, scene), first)
  assert.equal(scene.told.length, 1)
  assert.equal(asked, 2)
  etag = '"2"'
  const second = await fetchMedium(order, scene)
  assert.notEqual(second, first)
  assert.ok((await readFile(second, 'utf8')).endsWith('"2"'))
})

for (const [algorithm, line] of [
  ['md5', (sum: string) => `${sum}  ./a.iso\n`],
  ['sha1', (sum: string) => `other\n${sum} *a.iso\n`],
  ['sha256', (sum: string) => `SHA256 (a.iso) = ${sum}\n`],
] as const)
  test(`a medium is what its checksum file says: ${algorithm}`, async () => {
    let sums = line(sumOf(algorithm))
    let asked = 0
    await using server = await openWebServer({
      '/a.iso': (_request, response) => {
        asked++
        response.end(MEDIUM)
      },
      '/SUMS': (_request, response) => void response.end(sums),
    })
    const checksum = { algorithm, url: `${server.url}/SUMS` }
    const order: MediumOrder = { url: `${server.url}/a.iso`, checksum }
    const scene = makeScene()
    const path = await fetchMedium(order, scene)
    assert.equal(await fetchMedium(order, scene), path)
    assert.equal(asked, 1, 'what its checksum names is not asked for again')
    sums = line('0'.repeat(sumOf(algorithm).length))
    await assert.rejects(fetchMedium(order, scene), failsWith('DIGEST_MISMATCH'))
    sums = 'nothing of the kind\n'
    await assert.rejects(fetchMedium(order, scene), failsWith('DIGEST_MISMATCH'))
    assert.equal((await contents(scene.directory)).length, 1)
  })

test('what is not there, too large or no web address is said with the address, and leaves nothing', async () => {
  await using server = await openWebServer({ '/large': MEDIUM })
  const scene = makeScene()
  const refusal = async (order: MediumOrder): Promise<string> => {
    try {
      await fetchMedium(order, scene)
    } catch (error) {
      if (isFailure(error, 'DOWNLOAD_FAILED')) return error.message
      throw error
    }
    return assert.fail('it was fetched')
  }
  assert.match(await refusal({ url: `${server.url}/none` }), /\/none: the server answers 404/)
  assert.match(await refusal({ url: `${server.url}/large`, maxSize: 1000 }), /\/large: it has more/)
  assert.match(await refusal({ url: 'ftp://mirror.example/a.iso' }), /a\.iso: wanted https/)
  assert.deepEqual(await contents(scene.directory), [])
})

test('a mirror that goes away in the middle is gone on with; one that stays away is said', async () => {
  const page = flawedPage(MEDIUM, { cuts: [100_000, 80_000] })
  await using server = await openWebServer({
    '/a.iso': page,
    '/b.iso': flawedPage(MEDIUM, { cuts: [100_000, 0, 0, 0, 0, 0, 0] }),
    '/short.iso': flawedPage(MEDIUM, { cuts: [10, 0, 0, 0], ranges: false }),
  })
  const scene = makeScene()
  const path = await fetchMedium({ url: `${server.url}/a.iso` }, scene)
  assert.deepEqual(await readFile(path), MEDIUM)
  assert.deepEqual(page.heard.slice(1), ['bytes=100000-', 'bytes=180000-'])
  for (const name of ['b.iso', 'short.iso'])
    await assert.rejects(
      fetchMedium({ url: `${server.url}/${name}` }, scene),
      failsWith('DOWNLOAD_FAILED'),
    )
  assert.equal((await contents(scene.directory)).length, 1)
  assert.deepEqual(
    (await readdir(scene.directory)).filter((name) => name.includes('fill')),
    [],
  )
})

test('a mirror that is away is not needed for what was fetched, unless a checksum must be read', async () => {
  const scene = makeScene()
  let url = ''
  {
    await using server = await openWebServer({
      '/a.iso': (_request, response) => {
        response.setHeader('etag', '"1"')
        response.end(MEDIUM)
      },
    })
    url = `${server.url}/a.iso`
    await fetchMedium({ url }, scene)
  }
  assert.deepEqual(await readFile(await fetchMedium({ url }, scene)), MEDIUM)
  assert.match(scene.told.at(-1) ?? '', /cannot be asked; what was fetched earlier is used/)
  const checksum = { algorithm: 'sha256', url: `${url}.sum` } as const
  await assert.rejects(fetchMedium({ url, checksum }, scene), failsWith('DOWNLOAD_FAILED'))
})

test('what a crash left is neither taken nor waited for', async () => {
  await using server = await openWebServer({ '/a.iso': MEDIUM })
  const scene = makeScene()
  const order = { url: `${server.url}/a.iso` }
  const path = await fetchMedium(order, scene)
  const entry = (await readdir(scene.directory)).find((name) => name.endsWith('.json')) ?? ''
  const dead = join(scene.directory, `.${entry}.ingot-999999999-1-fill`)
  await writeFile(dead, 'half of it')
  await writeFile(path, 'cut short')
  await writeFile(join(scene.directory, entry), '{"sha256":')
  assert.equal(await fetchMedium(order, scene), path)
  assert.deepEqual(await readFile(path), MEDIUM)
  assert.ok(!(await readdir(scene.directory)).includes(dead))
})

test('of two that want the same at a time, one fetches', async () => {
  await using server = await openWebServer({
    '/a.iso': (request, response) => {
      const isSame = request.headers['if-none-match'] === '"1"'
      response.writeHead(isSame ? 304 : 200, { etag: '"1"' }).end(isSame ? undefined : MEDIUM)
    },
  })
  const scene = makeScene()
  const order = { url: `${server.url}/a.iso` }
  const paths = await Promise.all([1, 2, 3].map(() => fetchMedium(order, scene)))
  assert.equal(new Set(paths).size, 1)
  assert.equal(scene.told.length, 1)
})
