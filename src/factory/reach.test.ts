/** What this host reads for templates: of strangers, and of whoever owns it. */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { makeContext } from '../base/context.ts'
import { publicWeb } from '../bytes/public-web.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { runRecipe } from '../recipes/run-recipe.ts'
import { failsWith } from '../testing/fails-with.ts'
import { parseSteps } from '../testing/recipe-bench.ts'
import { makeScriptedRemote } from '../testing/scripted-remote.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { baseOrder, openTestFactory } from '../testing/test-factory.ts'
import { openWebServer } from '../testing/web-server.ts'
import { mockBuilder } from './builders/mock.ts'
import { fetchMedium } from './installer/media-cache.ts'
import { hostUplink, type OpenUplink } from '../remotes/uplink.ts'
import { OWNERS_REACH, type Reach } from './reach.ts'

const inDir = await tempDir()
const reachOf = (...hosts: string[]): Reach => ({
  ...OWNERS_REACH,
  web: publicWeb(hosts, 'Name it.'),
  files: false,
})

let places = 0
async function fetched(url: string, reach: Reach): Promise<string> {
  const directory = inDir(`media-${places++}`)
  const scene = { context: makeContext(), reach, directory, retries: 0, tell: () => {} }
  return await readFile(await fetchMedium({ url }, scene), 'utf8')
}

const PRIVATE = [
  'http://127.0.0.1/',
  'http://localhost/',
  'http://[::1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://0x7f000001/',
  'http://169.254.169.254/latest/meta-data/',
  'http://10.0.0.1/',
  'file:///etc/shadow',
  'file://localhost/etc/shadow',
]

test('media of a stranger come from the public internet, not from this host or its networks', async () => {
  for (const url of PRIVATE)
    await assert.rejects(fetched(url, reachOf()), failsWith('DOWNLOAD_FAILED'), url)
})

test('a host that the operator names may be asked, and nothing that it redirects to', async () => {
  await using server = await openWebServer({
    '/a.iso': 'medium',
    '/inside': (_, response) =>
      response
        .writeHead(302, { location: `${server.url.replace('127.0.0.1', '127.0.0.2')}/a` })
        .end(),
    '/shadow': (_, response) => response.writeHead(302, { location: 'file:///etc/shadow' }).end(),
    '/metadata': (_, response) =>
      response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end(),
  })
  assert.equal(await fetched(`${server.url}/a.iso`, reachOf('127.0.0.1')), 'medium')
  for (const [path, reason] of [
    ['/inside', /127\.0\.0\.2, which is not on the public internet/],
    ['/metadata', /169\.254\.169\.254, which is not on the public internet/],
    ['/shadow', /wanted https/],
  ] as const)
    await assert.rejects(fetched(server.url + path, reachOf('127.0.0.1')), reason)
})

test('what was fetched for the owner is not had by a stranger who knows its address', async () => {
  await using server = await openWebServer({ '/a.iso': 'medium' })
  const directory = inDir('shared')
  const shared = { context: makeContext(), directory, retries: 0, tell: () => {} }
  const order = { url: `${server.url}/a.iso` }
  await fetchMedium(order, { ...shared, reach: OWNERS_REACH })
  const refused = fetchMedium(order, { ...shared, reach: reachOf() })
  await assert.rejects(refused, failsWith('DOWNLOAD_FAILED'))
})

test('steps of a stranger fetch and download nothing private', async () => {
  await using server = await openWebServer({ '/a': 'private' })
  const { driver } = makeScriptedRemote({ otherwise: { code: 0 } })
  const context = makeContext()
  const cacheDir = inDir('steps')
  await mkdir(cacheDir)
  const sha256 = 'a'.repeat(64)
  for (const step of [
    `- file: {path: /a, url: "${server.url}/a"}`,
    `- script: {a: {url: "${server.url}/a"}}`,
    `- download: {to: /a, url: "${server.url}/a", sha256: ${sha256}}`,
  ]) {
    const remote = openRemote(driver, context)
    const { web: webRules } = reachOf()
    const options = { mode: 'reconcile', values: new Map(), cacheDir, webRules } as const
    const { verdicts } = await runRecipe(parseSteps(step), remote, options, context)
    assert.match(verdicts[0]?.message ?? '', /not on the public internet/, step)
  }
  assert.deepEqual(server.asked, [])
})

test('the owner has files too, anew when they have changed', async () => {
  const path = inDir('own.iso')
  await writeFile(path, 'first')
  const scene = { context: makeContext(), reach: OWNERS_REACH, directory: inDir('own') }
  const told: string[] = []
  const order = { url: pathToFileURL(path).href }
  const read = async () =>
    await readFile(await fetchMedium(order, { ...scene, tell: (text) => told.push(text) }), 'utf8')
  assert.equal(await read(), 'first')
  assert.equal(await read(), 'first')
  assert.equal(told.length, 1)
  await writeFile(path, 'the second')
  assert.equal(await read(), 'the second')
  for (const url of [pathToFileURL(inDir('none')).href, 'file:///dev/zero', 'file:///etc/'])
    await assert.rejects(fetched(url, OWNERS_REACH), failsWith('DOWNLOAD_FAILED'), url)
})

const uplink: OpenUplink = async (...given) => await hostUplink(...given)

test('a build has the reach of who ordered it, whichever process makes it', async () => {
  const directory = inDir('factory')
  await mkdir(directory)
  // Guests of the host's owner are made of what strangers wrote, too.
  const strangers = { ...reachOf(), uplink }
  const seen: Reach[] = []
  const builder = {
    ...mockBuilder,
    build: async (job: Parameters<typeof mockBuilder.build>[0]) => {
      seen.push(job.reach)
      return await mockBuilder.build(job)
    },
  }
  const parts = { directory, builders: [builder], reach: strangers }
  {
    await using command = await openTestFactory({ ...parts, works: false, ordersByOwner: true })
    await command.factory.orderBase(baseOrder())
  }
  await using server = await openTestFactory(parts)
  for (const own of await server.factory.list({})) await server.ended(own)
  await server.ended(await server.factory.orderBase(baseOrder()))
  assert.deepEqual(seen, [{ ...OWNERS_REACH, uplink }, strangers])
})
