/** The plugins of examples/plugins: they keep their contracts, and a server that names them works by them. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { openPluginDoors } from '../src/app/plugin-doors.ts'
import { findProgram, runProcess } from '../src/base/process.ts'
import { MiB } from '../src/base/units.ts'
import { endServer, listen } from '../src/testing/listen.ts'
import { startServer } from '../src/testing/serve.ts'
import { makeSparseDisk } from '../src/testing/sparse-disk.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const ROOT = join(import.meta.dirname, '..')
const EXAMPLES = join(ROOT, 'examples/plugins')
const TOKEN = 'token-of-the-shelf'
const temp = await tempDir()

openPluginDoors()
// Their own tests, as whoever copies them runs them.
await import(join(EXAMPLES, 'plugins.test.ts'))

const skip = findProgram('qemu-img') === undefined && 'needs qemu-img'

describe('a server that names the example’s plugins', { skip }, () => {
  const files = new Map<string, Buffer>()
  const web = createServer((request, response) => {
    const { method, url = '', headers } = request
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => {
      if (method === 'GET') return response.end(files.get(url))
      if (headers.authorization !== `Bearer ${TOKEN}`) return response.writeHead(401).end()
      if (method === 'PUT') files.set(url, Buffer.concat(chunks))
      else files.delete(url)
      return response.writeHead(204).end()
    })
  })
  after(async () => await endServer(web))

  it('lists them, builds by the one, pushes by the other, and removes what was pushed', async () => {
    const base = await listen(web)
    await makeSparseDisk(temp('disk.raw'), 4 * MiB)
    await runProcess(['qemu-img', 'convert', '-O', 'qcow2', temp('disk.raw'), temp('disk.qcow2')])
    const published = await readFile(temp('disk.qcow2'))
    files.set('/debian.qcow2', published)
    const sha256 = createHash('sha256').update(published).digest('hex')
    await using server = await startServer(temp('ingot.yaml'), {
      data_dir: temp('data'),
      plugins: ['cloud-image.ts', 'http-put.ts'].map((name) => join(EXAMPLES, name)),
      factory: {
        private_hosts: ['127.0.0.1'],
        providers: {
          shelf: {
            target: 'http-put',
            options: { url: `${base}/images/` },
            credentials: { token: TOKEN },
          },
        },
      },
    })
    const ingot = async (...words: string[]) => {
      const argv = [join(ROOT, 'ingot'), ...words, '--endpoint', server.url]
      const { code, stdout, stderr } = await runProcess(argv)
      assert.equal(code, 0, `${stderr.toString()}\n${server.log.join('\n')}`)
      return stdout.toString()
    }
    assert.match(await ingot('factory', 'plugins'), /cloud-image[^]*http-put/)
    await writeFile(temp('as-it-is.yaml'), 'name: as-it-is\nvalidators: []\n')
    const order = ['factory', 'provider', 'http-put', 'shelf', '--follow', '--json']
    const how = ['--template', temp('as-it-is.yaml'), '--builder', 'cloud-image']
    const image = [`cloud_image=${base}/debian.qcow2`, `cloud_image_sha256=${sha256}`]
    const parameters = image.flatMap((one) => ['--parameter', one])
    const made = await ingot(...order, ...how, ...parameters)
    const build = JSON.parse(made)
    assert.equal(build.status, 'COMPLETE', made)
    const path = `/images/${build.identifier_on_provider}`
    await writeFile(temp('pushed.qcow2'), files.get(path) ?? '')
    const same = ['qemu-img', 'compare', temp('pushed.qcow2'), temp('disk.raw')]
    const { code, stdout } = await runProcess(same)
    assert.equal(code, 0, stdout.toString())
    const log = await ingot('factory', 'logs', build.id)
    assert.ok(!log.includes(TOKEN) && !server.log.join('\n').includes(TOKEN))
    await ingot('factory', 'delete', build.id)
    assert.equal(files.has(path), false)
  })
})
