import assert from 'node:assert/strict'
import { link, lstat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { silentLog } from '../base/log.ts'
import { KiB, MiB } from '../base/units.ts'
import { memorySource, type Source } from '../bytes/source.ts'
import { DiskMapBuilder, UNIT } from '../formats/disk-map.ts'
import { failsWith } from '../testing/fails-with.ts'
import { NbdClient, text, u32 } from '../testing/nbd-client.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { type NbdServerOptions, openNbdServer } from './server.ts'

const [READ, WRITE, DISCONNECT, FLUSH, TRIM, CACHE, ZERO, STATUS] = [0, 1, 2, 3, 4, 5, 6, 7]
const [DATA, HOLE, NONE] = [1, 2, 0]
const at = await tempDir()
let count = 0

/** Units 1, 2 and 40 hold data; the last one is short. */
const content = Buffer.alloc(41 * UNIT - 512)
for (const unit of [1, 2, 40])
  content.subarray(unit * UNIT, (unit + 1) * UNIT).fill(`unit ${unit} `)
const builder = new DiskMapBuilder()
for (const unit of [1, 2, 40]) builder.add(unit)
const map = builder.toMap(content.length)

async function serve(
  disk: Source = memorySource(content),
  options: Partial<NbdServerOptions> = {},
) {
  const path = at(`socket-${++count}`)
  const exported = { name: '', description: 'a disk', disk, map }
  const server = await openNbdServer(exported, {
    address: { socket: path },
    log: silentLog,
    ...options,
  })
  return {
    ...server,
    path,
    connect: () => new NbdClient({ path }),
    [Symbol.asyncDispose]: server[Symbol.asyncDispose],
  }
}

async function agreed(
  server: Awaited<ReturnType<typeof serve>>,
  options?: { structured: boolean },
) {
  const client = server.connect()
  await client.agree(options)
  return client
}

describe('reads', () => {
  it('give data as data and holes as holes', async () => {
    await using server = await serve()
    using client = await agreed(server)
    const { types, content: read } = await client.read(0, content.length)
    assert.deepEqual(types, [HOLE, DATA, HOLE, DATA])
    assert.ok(read.equals(content))
    const odd = await client.read(UNIT - 7, 9)
    assert.ok(odd.content.equals(content.subarray(UNIT - 7, UNIT + 2)))
    assert.deepEqual((await client.read(5, 0)).types, [NONE])
  })

  it('come in one chunk when the client wants it so', async () => {
    await using server = await serve()
    using client = await agreed(server)
    const { types, content: read } = await client.read(0, 3 * UNIT, 1 << 2)
    assert.deepEqual(types, [DATA])
    assert.ok(read.equals(content.subarray(0, 3 * UNIT)))
    await assert.rejects(client.read(0, MiB, 1 << 2), /error 75/)
  })

  it('give simple replies, one after the other, to a client that knows no others', async () => {
    await using server = await serve()
    using client = await agreed(server, { structured: false })
    for (const cookie of [7n, 8n, 9n]) client.request(READ, 0, content.length, 0, cookie)
    for (const cookie of [7n, 8n, 9n]) {
      const head = await client.take(16)
      assert.equal(head.readUInt32BE(4), 0)
      assert.equal(head.readBigUInt64BE(8), cookie)
      assert.ok((await client.take(content.length)).equals(content))
    }
  })

  it('never read what the map calls empty', async () => {
    const read: number[] = []
    const watched: Source = {
      ...memorySource(content),
      read: async (offset, length) => {
        read.push(offset)
        return content.subarray(offset, offset + length)
      },
    }
    await using server = await serve(watched)
    using client = await agreed(server)
    await client.read(0, content.length)
    assert.deepEqual(read, [UNIT, 40 * UNIT])
  })

  it('are answered for several clients at once', async () => {
    await using server = await serve()
    const clients = await Promise.all([1, 2, 3].map(() => agreed(server)))
    const reads = clients.flatMap((client) => client.read(UNIT, 40 * UNIT - 512))
    for (const { content: read } of await Promise.all(reads))
      assert.ok(read.equals(content.subarray(UNIT)))
    for (const client of clients) client[Symbol.dispose]()
  })
})

describe('which parts are data', () => {
  it('is told by block status, or only the first part of it', async () => {
    await using server = await serve()
    using client = await agreed(server)
    const ask = async (offset: number, length: number, flags = 0) => {
      client.request(STATUS, offset, length, flags)
      const { type, data } = await client.chunk()
      assert.equal(type, 5)
      assert.equal(data.readUInt32BE(0), 1)
      const words = Array.from({ length: (data.length - 4) / 4 }, (_, word) =>
        data.readUInt32BE(4 + word * 4),
      )
      return words
    }
    const last = UNIT - 512
    assert.deepEqual(await ask(0, content.length), [UNIT, 3, 2 * UNIT, 0, 37 * UNIT, 3, last, 0])
    assert.deepEqual(await ask(UNIT + 1, 4 * UNIT, 1 << 3), [2 * UNIT - 1, 0])
  })

  it('is not told to a client that did not ask for it', async () => {
    await using server = await serve()
    using client = await agreed(server, { structured: false })
    client.request(STATUS, 0, 512)
    assert.equal((await client.chunk()).flags, 22)
  })
})

describe('requests that cannot be', () => {
  it('are refused, and the connection goes on', async () => {
    await using server = await serve()
    using client = await agreed(server)
    const huge = 2n ** 64n - 1n
    const cases: [command: number, offset: number | bigint, length: number, error: number, flags?: number][] = [
      [READ, content.length, 1, 22],
      [READ, content.length - 1, 2, 22],
      [READ, huge, 512, 22],
      [READ, 2n ** 63n, 0, 22],
      [READ, 0, 33 * MiB, 22],
      [READ, 0, 0xffffffff, 22],
      [READ, 0, 512, 22, 1 << 9],
      [STATUS, 0, 0, 22],
      [STATUS, huge, 512, 22],
      [CACHE, content.length, 512, 22],
      [TRIM, 0, 512, 1],
      [ZERO, 0, 512, 1],
      [99, 0, 0, 22],
    ] // prettier-ignore
    for (const [command, offset, length, error, flags] of cases) {
      client.request(command, offset, length, flags)
      const { type, data } = await client.chunk()
      assert.deepEqual([type, data.readUInt32BE(0)], [0x8001, error], `command ${command}`)
    }
    client.request(WRITE, 0, 64 * KiB + 3)
    client.socket.write(Buffer.alloc(64 * KiB + 3, 1))
    assert.equal((await client.chunk()).data.readUInt32BE(0), 1)
    for (const command of [FLUSH, CACHE]) {
      client.request(command, 0, 0)
      assert.deepEqual(await client.chunk(), {
        flags: 0,
        type: -1,
        cookie: 1n,
        data: Buffer.alloc(0),
      })
    }
    assert.ok((await client.read(UNIT, 512)).content.equals(content.subarray(UNIT, UNIT + 512)))
  })

  it('end the connection when nobody knows where the next one begins', async () => {
    await using server = await serve()
    const nonsense: ((client: NbdClient) => void)[] = [
      (client) => client.socket.write(Buffer.alloc(28, 0x41)),
      (client) => client.request(WRITE, 0, 0xffffffff),
      (client) => client.request(DISCONNECT, 0, 0),
    ]
    for (const say of nonsense) {
      using client = await agreed(server)
      say(client)
      assert.equal((await client.rest()).length, 0)
    }
  })

  it('tell a client that the disk failed, and cut one that cannot be told any more', async () => {
    const broken: Source = {
      ...memorySource(content),
      read: async (offset, length) => {
        if (offset >= 40 * UNIT) throw new Error('a bad sector')
        return content.subarray(offset, offset + length)
      },
    }
    await using server = await serve(broken)
    using client = await agreed(server)
    await assert.rejects(client.read(0, content.length), /error 5/)
    assert.ok((await client.read(UNIT, 9)).content.equals(content.subarray(UNIT, UNIT + 9)))
    using simple = await agreed(server, { structured: false })
    simple.request(READ, 40 * UNIT, 512)
    assert.equal((await simple.chunk()).flags, 5)
    simple.request(READ, 0, content.length)
    assert.equal((await simple.rest()).length, 16 + 40 * UNIT)
  })
})

describe('clients that are not as they should be', () => {
  it('are sent away when they speak another language, and disturb nobody', async () => {
    await using server = await serve()
    using good = await agreed(server)
    for (const said of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(4 * MiB),
      u32(0xffffffff),
    ]) {
      using bad = server.connect()
      bad.socket.write(said)
      assert.equal((await bad.rest()).subarray(0, 8).toString(), 'NBDMAGIC')
    }
    using long = server.connect()
    await long.greet()
    long.option(6, Buffer.alloc(0), 0x7fffffff)
    assert.equal((await long.optionReply()).reply, 2 ** 31 + 9)
    await long.rest()
    assert.ok((await good.read(0, content.length)).content.equals(content))
  })

  it('may leave in the middle of an answer', async () => {
    await using server = await serve()
    for (let time = 0; time < 5; time++) {
      const client = await agreed(server, { structured: time % 2 === 0 })
      for (let request = 0; request < 40; request++) client.request(READ, 0, content.length)
      await client.take(1)
      client[Symbol.dispose]()
    }
    using good = await agreed(server)
    assert.ok((await good.read(0, content.length)).content.equals(content))
  })

  it('are turned away when there are too many', async () => {
    await using server = await serve(undefined, { maxClients: 2 })
    using first = await agreed(server)
    using second = await agreed(server)
    using third = server.connect()
    assert.equal((await third.rest()).length, 0)
    for (const client of [first, second]) assert.equal((await client.read(0, 9)).content.length, 9)
  })

  it('have to come to the point', async () => {
    await using server = await serve(undefined, { handshakeTimeoutMs: 1 })
    using client = server.connect()
    assert.equal((await client.rest()).subarray(0, 8).toString(), 'NBDMAGIC')
  })

  it('learn what there is without choosing it', async () => {
    await using server = await serve()
    using client = server.connect()
    await client.greet()
    const [listed] = await client.ask(3)
    assert.deepEqual(listed?.data, Buffer.concat([text(''), Buffer.from('a disk')]))
    const wanted = Buffer.concat([text(''), Buffer.from([0, 2, 0, 2, 0, 3])])
    const [size, description, block] = await client.ask(6, wanted)
    assert.equal(size?.data.readBigUInt64BE(2), BigInt(content.length))
    assert.equal(description?.data.toString('utf8', 2), 'a disk')
    assert.deepEqual(
      [2, 6, 10].map((at) => block?.data.readUInt32BE(at)),
      [1, UNIT, 32 * MiB],
    )
    const [unknown] = await client.ask(6, Buffer.concat([text('other'), Buffer.from([0, 0])]))
    assert.equal(unknown?.reply, 2 ** 31 + 6)
    const [bye] = await client.ask(2)
    assert.equal(bye?.reply, 1)
    await client.rest()
  })
})

describe('the socket', () => {
  it('is its owner’s only, and gone when the server is closed', async () => {
    const server = await serve()
    assert.equal((await lstat(server.path)).mode & 0o777, 0o600)
    using client = await agreed(server)
    await server[Symbol.asyncDispose]()
    await client.rest()
    await assert.rejects(lstat(server.path), /ENOENT/)
  })

  it('replaces one that a dead server left, and nothing else', async () => {
    await using server = await serve()
    const address = { socket: server.path }
    await assert.rejects(serve(undefined, { address }), failsWith('ADDRESS_IN_USE'))
    const file = at('file')
    await writeFile(file, 'mine')
    await assert.rejects(
      serve(undefined, { address: { socket: file } }),
      failsWith('ADDRESS_IN_USE'),
    )
    const nowhere = { socket: at('no/such/directory') }
    await assert.rejects(serve(undefined, { address: nowhere }), failsWith('FILE_NOT_FOUND'))
    const long = { socket: at('x'.repeat(108)) }
    await assert.rejects(serve(undefined, { address: long }), failsWith('USAGE'))
    const dead = at('dead')
    await link(server.path, dead)
    await server[Symbol.asyncDispose]()
    await using again = await serve(undefined, { address: { socket: dead } })
    using client = new NbdClient({ path: dead })
    await client.agree()
    assert.ok(again.uri.includes('dead'))
  })

  it('can be a port', async () => {
    await using server = await serve(undefined, { address: { host: '127.0.0.1', port: 0 } })
    assert.match(server.uri, /^nbd:\/\/127\.0\.0\.1:\d+\/$/)
    using client = new NbdClient(server.address as { host: string; port: number })
    await client.agree()
    assert.ok((await client.read(0, content.length)).content.equals(content))
  })
})
