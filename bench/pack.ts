/**
 * The same work on copies of one image: two small packages, one file, one script. Peers:
 * virt-customize, and Sahara's own sahara-image-pack where `SAHARA_PEER` names a script that packs a
 * copy of the image given as its second argument.
 */
import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { findProgram } from '../src/base/process.ts'
import { bar, compare, type Contender } from './measure.ts'
import { baseImage, freshCopy, INGOT, place, root } from './place.ts'

const image = await baseImage()
const work = join(root, 'bench/work/work.yaml')
const at = (name: string) => join(place, `${name}.qcow2`)
const fresh = (name: string) => async () => void (await freshCopy(image, `${name}.qcow2`))
const emulated = {
  ...process.env,
  LIBGUESTFS_BACKEND: 'direct',
  LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
} as Record<string, string>
const conf = join(place, 'app.conf')
await writeFile(conf, 'greeting=hello\ndistro=debian\n')

const ingot = (name: string, ...words: string[]): Contender => ({
  name: `ingot pack ${words.join(' ')}`,
  argv: [INGOT, 'pack', work, '--image', at(name), '-q', ...words],
  prepare: fresh(name),
})
const peer = process.env['SAHARA_PEER']
const medians = await compare('Pack: two packages, one file, one script', [
  ingot('sandbox', '--via', 'sandbox', '--trusted'),
  ingot('appliance', '--via', 'appliance'),
  {
    name: 'virt-customize',
    argv:
      findProgram('virt-customize') === undefined
        ? undefined
        : [
            'virt-customize',
            '--format',
            'qcow2',
            '-a',
            at('virt'),
            '--install',
            'jq,tree',
            '--mkdir',
            '/etc/bench',
            '--upload',
            `${conf}:/etc/bench/app.conf`,
            '--run-command',
            'test_only=0; echo noted > /etc/bench/note',
          ],
    skip: 'guestfs-tools is not installed',
    options: { env: emulated },
    prepare: fresh('virt'),
  },
  {
    name: 'sahara-image-pack',
    argv: peer ? [peer, 'work', image] : undefined,
    skip: 'SAHARA_PEER is not set',
  },
])
const again = await compare('Pack again: everything is as it should be', [
  {
    name: 'ingot pack --via sandbox --trusted',
    argv: [INGOT, 'pack', work, '--image', at('sandbox'), '-q', '--via', 'sandbox', '--trusted'],
  },
])

const sandbox = medians.get('ingot pack --via sandbox --trusted')
const appliance = medians.get('ingot pack --via appliance')
const virt = medians.get('virt-customize')
const sahara = medians.get('sahara-image-pack')
const share = (own: number | undefined, other: number | undefined) =>
  own && other ? own / other : undefined
console.log()
for (const [name, other] of [
  ['virt-customize', virt],
  ['sahara-image-pack', sahara],
] as const) {
  bar(`sandbox, share of ${name}'s CPU time`, share(sandbox?.cpuS, other?.cpuS), 1 / 12, '')
  bar(`sandbox, share of ${name}'s wall time`, share(sandbox?.wallS, other?.wallS), 1 / 12, '')
}
bar("appliance, share of virt-customize's wall time", share(appliance?.wallS, virt?.wallS), 0.7, '')
bar("appliance, share of virt-customize's CPU time", share(appliance?.cpuS, virt?.cpuS), 0.7, '')
bar('second run by the sandbox', again.values().next().value?.wallS, 3, 's')
