/** The golden flow, as scripts/golden-flow has it: a build, a boot from each format, and a life in a cloud. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { findProgram, runProcess } from '../src/base/process.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const FLOW = join(import.meta.dirname, '../scripts/golden-flow')
/** The directory of a small OpenStack, whose `run` puts a command where the cloud is. */
const cloud = process.env['INGOT_OPENSTACK']
const missing = ['mmdebstrap', 'qemu-system-x86_64', 'qemu-img'].filter(
  (name) => !findProgram(name),
)
const skip =
  process.env['INGOT_TEST_FULL'] !== '1'
    ? 'boots a guest from each format: make test-full'
    : process.geteuid?.() !== 0
      ? 'needs root'
      : missing.length > 0 && `needs ${missing.join(', ')}`
const temp = await tempDir()

async function flow(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProcess([FLOW, ...words], {
    timeoutMs: 7_000_000,
    maxOutput: 1024 * 1024,
  })
  assert.equal(code, 0, `${stdout.toString()}\n${stderr.toString().slice(-4000)}`)
  return stdout.toString()
}

describe('the golden flow', { timeout: 7_200_000 }, () => {
  it('says what it takes, and refuses what it does not know', async () => {
    const { code, stderr } = await runProcess([FLOW, '--gold'])
    assert.equal(code, 2)
    assert.match(stderr.toString(), /^The golden flow[^]*--openstack DIR/)
  })

  it('goes from a recipe to a golden that boots from every format', { skip }, async () => {
    const told = await flow('--out', temp('here'))
    for (const format of ['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx'])
      assert.match(told, new RegExp(`^== boots from ${format},`, 'm'))
    assert.match(told, /^== OpenStack: left out/m)
  })

  const alsoSkip = skip || (cloud === undefined && 'needs INGOT_OPENSTACK')
  it(
    'lives in a cloud, is changed and copied there, and comes home',
    { skip: alsoSkip },
    async () => {
      const told = await flow('--out', temp('there'), '--no-boot', '--openstack', cloud ?? '')
      assert.match(told, /the copy answers[^]*Images are identical\.[^]*removed[^]*done/)
      const list = ['openstack', 'server', 'list', '-f', 'value', '-c', 'Name']
      const { stdout } = await runProcess([join(cloud ?? '', 'run'), ...list])
      assert.doesNotMatch(stdout.toString(), /golden-flow-/)
    },
  )
})
