/** A build on a real OpenStack, as somebody types it. Instances of a cloud without KVM take their time. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { runProcess } from '../src/base/process.ts'

const ROOT = join(import.meta.dirname, '..')
const INGOT = join(ROOT, 'ingot')
const EXAMPLE = join(ROOT, 'examples/nova')
/** The directory of a small OpenStack, whose `run` puts a command where the cloud is; see docs/imagefactory.md. */
const tools = process.env['INGOT_OPENSTACK']
const place = process.env['OPENSTACK_DIR'] ?? join(tmpdir(), 'local-openstack')
const skip =
  process.env['INGOT_TEST_FULL'] !== '1'
    ? 'takes a quarter of an hour: INGOT_TEST_FULL=1'
    : tools === undefined
      ? 'needs INGOT_OPENSTACK, the directory of a small OpenStack with its `run`'
      : false

const CHECKS = `
validators:
  - file: { path: /etc/golden, content: "made by Ingot" }
`

const inCloud = async (...argv: string[]) => {
  const result = await runProcess([join(tools ?? '', 'run'), ...argv], { maxOutput: 64 * 1024 })
  return { code: result.code, out: String(result.stdout), err: String(result.stderr) }
}
const openstack = async (...argv: string[]) => {
  const { code, out, err } = await inCloud('openstack', ...argv)
  assert.equal(code, 0, err)
  return out.trim()
}
const namesOf = async (...kind: string[]) =>
  (await openstack(...kind, 'list', '-f', 'value', '-c', 'Name')).split('\n').filter(Boolean)

describe('a build on an OpenStack cloud', { skip, timeout: 3_600_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ingot-nova-'))
  const at = (name: string) => join(directory, name)
  after(async () => await rm(directory, { recursive: true, force: true }))

  it('makes the golden image of the example, in the cloud and in the store, and leaves nothing else', async () => {
    if (!(await namesOf('image')).includes('debian-12')) {
      const file = join(place, 'debian-12.qcow2')
      const format = ['--disk-format', 'qcow2', '--container-format', 'bare']
      await openstack('image', 'create', ...format, '--file', file, 'debian-12')
    }
    const before = await Promise.all([
      namesOf('server'),
      namesOf('keypair'),
      namesOf('security', 'group'),
    ])

    const parameters = ['--parameters', join(EXAMPLE, 'parameters.json')]
    const tdl = join(EXAMPLE, 'debian-12.tdl')
    const data = ['--data-dir', at('data')]
    const { code, out, err } = await inCloud(
      INGOT,
      'imagefactory',
      'base_image',
      tdl,
      ...parameters,
      ...data,
    )
    assert.equal(code, 0, `${out}\n${err}`)
    assert.match(out, /={4,} Final Image Details ={4,}/)
    assert.match(out, /Image build completed SUCCESSFULLY!/)
    const [, id = ''] = /UUID: *(\S+)/.exec(out) ?? []
    assert.doesNotMatch(out + err, /PRIVATE KEY|OS_PASSWORD/)

    const [glanceId, ...others] = (
      await openstack('image', 'list', '--property', `ingot_image=${id}`, '-f', 'value', '-c', 'ID')
    ).split('\n')
    assert.match(glanceId ?? '', /^[0-9a-f-]{36}$/)
    assert.deepEqual(others, [])
    const after = await Promise.all([
      namesOf('server'),
      namesOf('keypair'),
      namesOf('security', 'group'),
    ])
    assert.deepEqual(after, before)
    await openstack('image', 'delete', glanceId ?? '')

    const raw = at('golden.raw')
    const saved = await runProcess([INGOT, 'image', 'save', id, '--output', raw, ...data])
    assert.equal(saved.code, 0, String(saved.stderr))
    await writeFile(at('checks.yaml'), CHECKS)
    const checked = await runProcess([
      INGOT,
      'validate',
      at('checks.yaml'),
      '--image',
      raw,
      '--via',
      'read',
    ])
    assert.equal(checked.code, 0, String(checked.stdout) + String(checked.stderr))
  })
})
