/** Compressed formats over a socket, from the first request on; other programs judge what came. */
import assert from 'node:assert/strict'
import { createHash, hash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { after, describe, it } from 'node:test'
import { runTool } from '../src/base/process.ts'
import { MiB } from '../src/base/units.ts'
import { tempDir } from '../src/testing/temp-dir.ts'
import { openTestServer } from '../src/testing/test-service.ts'

const at = await tempDir()
const server = await openTestServer()
after(() => server[Symbol.asyncDispose]())

const disk = Buffer.alloc(96 * MiB)
for (let start = 0; start < 64 * MiB; start += 64)
  createHash('md5')
    .update(String(start))
    .digest()
    .copy(disk, start + (start % 48))
await writeFile(at('disk'), disk)

/** The id of a new image that holds the bytes. */
async function uploaded(bytes: Buffer, diskFormat = 'raw', containerFormat = 'bare') {
  const body = { disk_format: diskFormat, container_format: containerFormat }
  const { id } = (await server.ask('POST /v2/images', { as: 'alice', body })).json
  const headers = { 'X-Auth-Token': 'alice', 'Content-Type': 'application/octet-stream' }
  const url = `${server.url}/v2/images/${id}/file`
  assert.equal((await fetch(url, { method: 'PUT', headers, body: bytes })).status, 204)
  return String(id)
}

const ask = async (id: string, query: string, headers: object = {}, method = 'GET') =>
  await fetch(`${server.url}/v2/images/${id}/file${query}`, {
    method,
    headers: { 'X-Auth-Token': 'alice', ...headers },
  })

async function formatsOf(id: string) {
  const { json } = await server.ask(`GET /v2/images/${id}/formats`, { as: 'alice' })
  return new Map<string, { size: number | null; digest: string | null }>(
    json.formats.map((row: { name: string }) => [row.name, row]),
  )
}

const STREAMED = {
  'raw.gz': '?disk_format=raw&compressed=true',
  'raw.zst': '?disk_format=raw.zst',
  'vmdk-stream': '?disk_format=vmdk&compressed=true',
  gce: '?disk_format=tar.gz',
}
const WHOLE = { 'qcow2-zlib': '?disk_format=qcow2&compressed=true', ova: '?disk_format=ova' }

describe('compressed formats, asked for the first time, by many at once', async () => {
  const id = await uploaded(disk)
  const head = await ask(id, STREAMED['raw.gz'], {}, 'HEAD')
  const range = ask(id, STREAMED['raw.gz'], { range: 'bytes=1000-' })
  const leaving = ask(id, STREAMED['raw.gz']).then((response) => response.body?.cancel())
  const first = new Map<string, { headers: Headers; bytes: Buffer }>()
  await Promise.all(
    Object.entries({ ...STREAMED, ...WHOLE }).map(async ([name, query]) => {
      const response = await ask(id, query)
      assert.equal(response.status, 200)
      const bytes = Buffer.from(await response.bytes())
      first.set(name, { headers: response.headers, bytes })
      await writeFile(at(name), bytes)
    }),
  )
  await leaving

  it('stream without a length where the format allows it, and have one where they do not', () => {
    for (const name of Object.keys(STREAMED))
      assert.equal(first.get(name)?.headers.get('content-length'), null, name)
    for (const name of Object.keys(WHOLE)) {
      const { headers, bytes } = first.get(name) ?? {}
      assert.equal(headers?.get('content-length'), String(bytes?.length), name)
    }
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, null])
    assert.equal(head.headers.get('etag'), first.get('raw.gz')?.headers.get('etag'))
  })

  it('give a part of what is being made as soon as it is made', async () => {
    const part = await range
    assert.equal(part.status, 206)
    assert.ok(
      first
        .get('raw.gz')
        ?.bytes.subarray(1000)
        .equals(await part.bytes()),
    )
  })

  it('are the same bytes later, with length and ranges', async () => {
    for (const [name, query] of Object.entries({ ...STREAMED, ...WHOLE })) {
      const { headers, bytes = Buffer.of() } = first.get(name) ?? {}
      const again = await ask(id, query)
      assert.equal(again.headers.get('content-length'), String(bytes.length), name)
      assert.equal(again.headers.get('etag'), headers?.get('etag') ?? again.headers.get('etag'))
      assert.ok(bytes.equals(await again.bytes()), name)
      const part = await ask(id, query, { range: 'bytes=-100' })
      assert.deepEqual(
        [part.status, await part.bytes()],
        [206, new Uint8Array(bytes.subarray(-100))],
      )
    }
  })

  it('are listed with the length and the digest that they turned out to have', async () => {
    const formats = await formatsOf(id)
    for (const name of Object.keys(STREAMED)) {
      const { bytes = Buffer.of() } = first.get(name) ?? {}
      const { size, digest } = formats.get(name) ?? {}
      assert.deepEqual([size, digest], [bytes.length, hash('sha256', bytes)], name)
    }
    assert.equal(formats.get('vhdx')?.digest, null)
  })

  it('are what other programs take them for', async () => {
    const same = async (path: string, driver: string) =>
      await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', driver, at('disk'), path])
    await same(at('vmdk-stream'), 'vmdk')
    await same(at('qcow2-zlib'), 'qcow2')
    for (const [program, name] of [
      ['gunzip', 'raw.gz'],
      ['zstd', 'raw.zst'],
    ] as const)
      await runTool(['sh', '-c', `${program} -dc < "$1" | cmp - "$2"`, 'sh', at(name), at('disk')])
    await runTool(['tar', '-xzf', at('gce'), '-C', at('.')])
    await same(at('disk.raw'), 'raw')
    await runTool(['tar', '-xf', at('ova'), '-C', at('.')])
    await same(at('disk.vmdk'), 'vmdk')
  })
})

describe('what is stored and is no disk', () => {
  it('is given as it is by its own name, and in no other form', async () => {
    const bytes = disk.subarray(0, 10_000)
    for (const [diskFormat, container, own] of [
      ['ami', 'ami', 'ami'],
      ['raw', 'compressed', 'compressed'],
    ] as const) {
      const id = await uploaded(bytes, diskFormat, container)
      const given = await ask(id, `?disk_format=${own}`)
      assert.ok(bytes.equals(await given.bytes()), own)
      for (const query of ['?disk_format=qcow2', '?disk_format=raw&compressed=true'])
        assert.equal((await ask(id, query)).status, 409, query)
      assert.equal((await ask(id, '', { accept: 'application/x-qemu-disk' })).status, 409)
      assert.deepEqual([...(await formatsOf(id)).keys()], [diskFormat])
    }
  })
})
