import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findProgram, runTool } from '../../base/process.ts'
import { failsWith } from '../../testing/fails-with.ts'
import type { MemoryTree } from '../../testing/memory-tree.ts'
import { type BenchOptions, openBench, parseSteps } from '../../testing/recipe-bench.ts'
import type { Answer } from '../../testing/scripted-remote.ts'
import { openWebServer, type WebServer } from '../../testing/web-server.ts'

const digest = (content: Uint8Array | string) => createHash('sha256').update(content).digest('hex')
const TOOLS: Readonly<Record<string, string[]>> = {
  'a.tar': ['tar', '-cf'],
  'a.tar.gz': ['tar', '-czf'],
  'a.tar.xz': ['tar', '-cJf'],
  'a.tar.bz2': ['tar', '-cjf'],
  'a.tar.zst': ['tar', '--zstd', '-cf'],
  'a.zip': ['zip', '-qr'],
}
const missing = ['tar', 'xz', 'bzip2', 'zstd', 'zip', 'unzip'].filter((one) => !findProgram(one))
const skip = missing.length > 0 ? `needs ${missing.join(', ')}` : false

function put(files: MemoryTree, path: string): void {
  files.write(path, Buffer.alloc(0), { mode: 0o644, uid: 0, gid: 0 })
}

describe('download', () => {
  let directory: string
  let cacheDir: string
  let server: WebServer
  const contents: Record<string, Buffer> = {}

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ingot-download-'))
    cacheDir = join(directory, 'cache')
    await mkdir(join(directory, 'tool-1.2/bin'), { recursive: true })
    await writeFile(join(directory, 'tool-1.2/bin/run'), '#!/bin/sh\n', { mode: 0o755 })
    await writeFile(join(directory, 'tool-1.2/README'), 'read me\n')
    contents['hello'] = Buffer.from('hello')
    if (!skip)
      for (const [name, argv] of Object.entries(TOOLS)) {
        await runTool([...argv, name, 'tool-1.2'], { cwd: directory })
        contents[name] = await readFile(join(directory, name))
      }
    server = await openWebServer(
      Object.fromEntries(Object.entries(contents).map(([name, content]) => [`/${name}`, content])),
    )
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  /** A guest whose tar really unpacks: into a directory of this host, then into the tree. */
  const tar: Answer = {
    to: 'tar',
    give: ({ argv }, files) => {
      unpacked.push(argv)
      files.makeDirectory('/opt/tool')
      const top = argv.includes('--strip-components=1') ? ['README', 'bin'] : ['tool-1.2']
      for (const name of top) put(files, `/opt/tool/${name}`)
      assert.equal(Buffer.from(files.read(argv[4] ?? '')!.subarray(257, 262)).toString(), 'ustar')
    },
  }
  const unpacked: (readonly string[])[] = []
  const open = (script: BenchOptions = {}) => openBench({ answers: [tar], cacheDir, ...script })
  const step = (name: string, more: string, sha256 = digest(contents[name] ?? '')) =>
    `- download: {url: "${server.url}/${name}", sha256: ${sha256}, ${more}}`

  it('becomes a file with its owner and mode, and then holds', async () => {
    const bench = open()
    const steps = step('hello', 'to: /usr/local/bin/hello, mode: "0755"')
    assert.equal((await bench.test(steps))[0]?.status, 'differs')
    assert.deepEqual(bench.changes(), [])
    assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
    assert.equal(bench.text('/usr/local/bin/hello'), 'hello')
    assert.equal(bench.files.stat('/usr/local/bin/hello')?.mode, 0o755)
    assert.equal((await bench.reconcile(steps))[0]?.status, 'held')
    bench.files.write('/usr/local/bin/hello', Buffer.from('hellO'), { mode: 0o755, uid: 0, gid: 0 })
    assert.equal((await bench.test(steps))[0]?.status, 'differs')
  })

  it('that is not what its digest says changes nothing', async () => {
    const bench = open()
    const [verdict] = await bench.reconcile(step('hello', 'to: /x', digest('other')))
    assert.equal(verdict?.status, 'failed')
    assert.match(verdict?.message ?? '', /its SHA-256 is/)
    assert.deepEqual(bench.changes(), [])
  })

  for (const name of Object.keys(TOOLS))
    it(`unpacks ${name}, and then holds`, { skip }, async () => {
      const bench = open()
      const steps = step(name, 'unpack: /opt/tool, strip: 1')
      assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
      assert.deepEqual(
        unpacked.at(-1)?.filter((word) => !word.includes('/.ingot-')),
        ['tar', '-x', '-o', '-f', '-C', '/opt/tool', '--strip-components=1'],
      )
      assert.deepEqual(bench.files.list('/opt/tool'), ['README', 'bin'])
      assert.equal((await bench.reconcile(steps))[0]?.status, 'held')
      assert.deepEqual(await readdir(cacheDir), ['downloads'])
    })

  it(
    'is unpacked again when something of it is gone, or another took its place',
    { skip },
    async () => {
      const bench = open()
      const first = step('a.tar.gz', 'unpack: /opt/tool')
      const second = step('a.tar.xz', 'unpack: /opt/tool')
      await bench.reconcile(first)
      bench.files.remove('/opt/tool/tool-1.2')
      const [verdict] = await bench.test(first)
      assert.equal(verdict?.differences[0]?.found, 'without tool-1.2')
      await bench.reconcile(first)
      assert.equal((await bench.reconcile(second))[0]?.status, 'changed')
      assert.equal((await bench.test(first))[0]?.status, 'differs')
    },
  )

  it('that is no archive is not unpacked', async () => {
    const [verdict] = await open().reconcile(step('hello', 'unpack: /opt/x'))
    assert.match(verdict?.message ?? '', /neither a tar archive nor a zip/)
  })

  it('is refused without a digest, with a scheme that is not of the web, with two places', () => {
    const sha256 = digest('')
    for (const [steps, message] of [
      ['- download: {url: "https://x/y", to: /y}', /'sha256' is missing/],
      [`- download: {url: "https://x/y", sha256: abc, to: /y}`, /64 hexadecimal digits/],
      [
        `- download: {url: "file:///etc/passwd", sha256: ${sha256}, to: /y}`,
        /cannot be downloaded/,
      ],
      [`- download: {url: "https://a:b@x/y", sha256: ${sha256}, to: /y}`, /seen by others/],
      [`- download: {url: "https://x/y", sha256: ${sha256}}`, /'to' .* or 'unpack'/],
      [`- download: {url: "https://x/y", sha256: ${sha256}, to: /y, strip: 1}`, /for archives/],
      [
        `- download: {url: "https://x/y", sha256: ${sha256}, unpack: /y, mode: "0644"}`,
        /single file/,
      ],
    ] as const)
      assert.throws(
        () => parseSteps(steps),
        (error: Error) => failsWith('RECIPE_INVALID')(error) && message.test(error.message),
        steps,
      )
  })
})
