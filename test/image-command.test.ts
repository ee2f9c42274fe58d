/** `ingot image` as people use it: embedded, beside a server, and against an endpoint. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { MiB } from '../src/base/units.ts'
import { exitOf, startProcess } from '../src/base/process.ts'
import { endServer, listen } from '../src/testing/listen.ts'
import { type Served, startServer } from '../src/testing/serve.ts'
import { tempDir } from '../src/testing/temp-dir.ts'
import { imageCommand, plainShell, type ShownImage } from '../src/testing/image-command.ts'
import { openWebServer } from '../src/testing/web-server.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const temp = await tempDir()
const bytes = randomBytes(3 * MiB)
writeFileSync(temp('disk.raw'), bytes)

const plain = plainShell(temp(''))
const commandOf = (more: readonly string[]) => imageCommand(more, plain)

describe('ingot image, embedded', () => {
  const directory = temp('embedded')
  const image = commandOf(['--data-dir', directory])

  it('says that there are none, before the first', async () => {
    const { code, stdout, stderr } = await image.run(['list'])
    assert.deepEqual([code, stdout.toString(), stderr], [0, '', 'no images\n'])
  })

  it('creates, lists, shows, changes and deletes an image whose name has spaces and quotes', async () => {
    const name = `the "new" disk, 'raw'`
    const flags = [
      '--visibility',
      'community',
      '--min-disk',
      '1',
      '--tag',
      'a',
      '--property',
      'os=x=y',
    ]
    const made = await image.json('create', name, '--file', temp('disk.raw'), ...flags)
    assert.deepEqual([made.status, made['disk_format'], made['os']], ['active', 'raw', 'x=y'])
    assert.equal(made['checksum'], createHash('md5').update(bytes).digest('hex'))
    assert.equal((await image.json('show', name)).id, made.id)
    const named = await image.json<ShownImage[]>('list', '--name', name, '--visibility', 'all')
    assert.deepEqual([named.length, named[0]?.id], [1, made.id])
    const words = [
      '--name',
      'plain',
      '--untag',
      'a',
      '--tag',
      'b',
      '--unset-property',
      'os',
      '--protected',
    ]
    const changed = await image.json('set', name, ...words)
    assert.deepEqual([changed.name, changed['tags'], 'os' in changed], ['plain', ['b'], false])
    await image.fails(1, /protected/, 'delete', 'plain')
    await image.json('set', 'plain', '--no-protected')
    assert.deepEqual(await image.json('delete', 'plain'), [made.id])
    await image.fails(3, /no image plain/, 'show', 'plain')
  })

  it('takes standard input, and gives standard output', async () => {
    const made = await image.run(['create', 'piped', '--file', '-', '--json'], bytes)
    assert.equal(made.code, 0, made.stderr)
    const saved = await image.run(['save', 'piped', '--output', '-'])
    assert.equal(saved.code, 0, saved.stderr)
    assert.ok(saved.stdout.equals(bytes))
  })

  it('imports a file, and saves it in another format, whole or not at all', async () => {
    const made = await image.json('import', 'imported', '--file', temp('disk.raw'))
    assert.equal(made.status, 'active')
    const formats = await image.json<{ name: string }[]>('formats', 'imported')
    assert.ok(formats.some(({ name }) => name === 'vhdx'))
    const path = temp('disk.qcow2')
    const told = await image.json<{ size: number }>(
      'save',
      made.id,
      '--format',
      'qcow2',
      '-o',
      path,
    )
    assert.deepEqual(readFileSync(path).subarray(0, 4), Buffer.from('QFI\xfb', 'latin1'))
    assert.equal(readFileSync(path).length, told.size)
    await image.fails(2, /is there already/, 'save', made.id, '-o', path)
    await image.json('save', made.id, '-o', path, '--force')
    assert.ok(readFileSync(path).equals(bytes))
    await image.fails(3, /no file .*nowhere/, 'save', made.id, '-o', temp('nowhere/disk.raw'))
  })

  it('leaves holes in the file where the data has zeros', async () => {
    const disk = Buffer.concat([bytes, Buffer.alloc(32 * MiB), bytes, Buffer.alloc(MiB)])
    const made = await image.run(['create', 'sparse', '--file', '-', '--json'], disk)
    assert.equal(made.code, 0, made.stderr)
    const path = temp('sparse.raw')
    await image.json('save', 'sparse', '-o', path)
    assert.ok(readFileSync(path).equals(disk))
    assert.ok(statSync(path).blocks * 512 < 8 * MiB)
  })

  it('shares an image with projects, and no longer', async () => {
    await image.json('create', 'shared')
    const members = await image.json<object[]>('share', 'shared', 'p1', 'p2')
    assert.equal(members.length, 2)
    assert.equal((await image.json<object[]>('share', 'shared', 'p1', '--remove')).length, 1)
  })

  it('leaves no record behind when its data cannot be had', async () => {
    writeFileSync(
      temp('broken.qcow2'),
      Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), bytes]),
    )
    await image.fails(
      3,
      /no such file|nothing.raw/i,
      'create',
      'gone',
      '--file',
      temp('nothing.raw'),
    )
    await image.fails(
      1,
      /./,
      'import',
      'gone',
      '--file',
      temp('broken.qcow2'),
      '--disk-format',
      'qcow2',
    )
    await image.fails(2, /may not be asked for/, 'import', 'gone', '--uri', 'http://127.0.0.1/x')
    assert.deepEqual(await image.json('list', '--name', 'gone'), [])
  })

  it('leaves nothing behind when it is interrupted', { timeout: 300_000 }, async () => {
    const words = ['create', 'interrupted', '--file', '-', '--data-dir', directory]
    const child = startProcess([INGOT, 'image', ...words], {
      env: plain,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    after(() => void child.kill('SIGKILL'))
    const ended = exitOf(child, INGOT)
    child.stdin?.on('error', () => {}) // it ends with more to come
    child.stdin?.write(bytes)
    const objects = () =>
      readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !/catalog|\.db/.test(entry.name))
        .map((entry) => join(entry.parentPath, entry.name))
    const before = objects().length
    await untilListed('interrupted')
    child.kill('SIGINT')
    assert.equal(await ended, 130)
    assert.deepEqual(await image.json('list', '--name', 'interrupted'), [])
    assert.ok(objects().length <= before)
  })

  /** Until the record is there; each look is a command, which takes its time. */
  async function untilListed(name: string): Promise<void> {
    for (let look = 0; look < 30; look++)
      if ((await image.json<ShownImage[]>('list', '--name', name)).length > 0) return
    throw new Error(`${name} is in no list`)
  }

  it('refuses wrong use with exit code 2, and says what is right', async () => {
    await image.fails(2, /unknown option '--nmae'/, 'list', '--nmae', 'x')
    await image.fails(
      2,
      /--min-disk ten: wanted a whole number/,
      'create',
      'x',
      '--min-disk',
      'ten',
    )
    await image.fails(2, /NAME=VALUE/, 'create', 'x', '--property', 'novalue')
    await image.fails(2, /--file or by --uri/, 'import', 'x')
    await image.fails(2, /--output/, 'save', 'piped')
    await image.fails(2, /nothing to change/, 'set', 'piped')
    await image.fails(2, /visibility/, 'create', 'x', '--visibility', 'nobody')
    await image.json('create', 'twin')
    await image.json('create', 'twin')
    await image.fails(2, /2 images are called twin/, 'show', 'twin')
  })
})

describe('ingot image, beside a server', () => {
  const opened = new AsyncDisposableStack()
  after(() => opened.disposeAsync())
  let server: Served
  let web: string
  before(async () => {
    const site = opened.use(await openWebServer({ '/disk.raw': bytes }))
    web = `${site.url}/disk.raw`
    server = opened.use(
      await startServer(temp('serve.yaml'), {
        data_dir: temp('served'),
        import: { web: { allowed_hosts: ['127.0.0.1'], allowed_ports: [] } },
      }),
    )
  })

  it('sees on the same directory what the server made, and the other way round', async () => {
    const there = commandOf(['--endpoint', server.url])
    const here = commandOf(['--data-dir', temp('served')])
    const made = await there.json('create', 'by-server', '--file', temp('disk.raw'))
    assert.equal((await here.json('show', 'by-server')).id, made.id)
    const saved = await here.run(['save', made.id, '-o', '-'])
    assert.ok(saved.stdout.equals(bytes))
    const own = await here.json('import', 'by-command', '--file', temp('disk.raw'))
    assert.equal((await there.json('show', own.id)).status, 'active')
    assert.ok((await there.run(['save', own.id, '-o', '-'])).stdout.equals(bytes))
  })

  it('has the server fetch an address, and hold it to a checksum', async () => {
    const there = commandOf(['--endpoint', server.url])
    const digest = createHash('sha256').update(bytes).digest('hex')
    const right = ['--checksum', `sha256:${digest}`]
    assert.equal((await there.json('import', 'fetched', '--uri', web, ...right)).status, 'active')
    const wrong = ['--checksum', `sha256:${'0'.repeat(64)}`]
    await there.fails(
      1,
      /import failed: .*(checksum|sha256|digest|hash)/i,
      'import',
      'bad',
      '--uri',
      web,
      ...wrong,
    )
    assert.deepEqual(await there.json('list', '--name', 'bad'), [])
  })

  it('says where nobody answers', async () => {
    const nobody = commandOf(['--endpoint', 'http://127.0.0.1:9'])
    await nobody.fails(1, /127\.0\.0\.1:9.*ECONNREFUSED/, 'list')
  })

  it('goes on where a connection broke', async () => {
    const { id } = await commandOf(['--endpoint', server.url]).json(
      'create',
      'long',
      '--file',
      temp('disk.raw'),
    )
    let cuts = 2
    const proxy = createServer(async ({ method, url, headers }, response) => {
      const answer = await fetch(`${server.url}${url}`, {
        method: method ?? 'GET',
        headers: headers as Record<string, string>,
      })
      const body = Buffer.from(await answer.arrayBuffer())
      const kept = ['content-type', 'content-length', 'content-range', 'etag']
      response.writeHead(
        answer.status,
        Object.fromEntries([...answer.headers].filter(([name]) => kept.includes(name))),
      )
      if (!url?.endsWith('/file') || cuts-- === 0) response.end(body)
      else response.write(body.subarray(0, MiB), () => response.destroy())
    })
    const flaky = commandOf(['--endpoint', await listen(proxy)])
    opened.defer(() => endServer(proxy))
    await flaky.json('save', id, '-o', temp('resumed'))
    assert.ok(readFileSync(temp('resumed')).equals(bytes))
    assert.equal(existsSync(temp('resumed.part')), false)
  })
})
