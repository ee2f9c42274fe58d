/** Checks of a packed image, and the start of the command. */
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { runTool } from '../src/base/process.ts'
import { bar, compare } from './measure.ts'
import { baseImage, freshCopy, INGOT, place, root } from './place.ts'

const image = await freshCopy(await baseImage(), 'validate.qcow2')
const check = join(root, 'bench/work/check.yaml')
await runTool([
  INGOT,
  'pack',
  join(root, 'bench/work/work.yaml'),
  '--image',
  image,
  '--trusted',
  '-q',
])
await chmod(image, 0o644)
const validate = [INGOT, 'validate', check, '--image', image, '-q']
// Without root, as far as this user can show it: setpriv drops to nobody.
const nobody =
  process.getuid?.() === 0
    ? [
        'setpriv',
        '--reuid=65534',
        '--regid=65534',
        '--clear-groups',
        'env',
        `XDG_CACHE_HOME=${join('/tmp', 'ingot-bench-nobody')}`,
      ]
    : []

const medians = await compare(
  'Validate: packages, files, users, services',
  [
    { name: 'ingot validate (by reading, without root)', argv: [...nobody, ...validate] },
    {
      name: 'ingot validate --via sandbox --trusted',
      argv: [...validate, '--via', 'sandbox', '--trusted'],
    },
    {
      name: 'sahara-image-pack --test-only',
      argv: process.env['SAHARA_PEER']
        ? ['env', 'SAHARA_ARGS=--test-only', process.env['SAHARA_PEER'], 'work', image]
        : undefined,
      skip: 'SAHARA_PEER is not set',
    },
  ],
  5,
)
const help = await compare(
  'Help',
  [
    { name: 'ingot --help', argv: [INGOT, '--help'] },
    { name: 'node -e 0 (the floor)', argv: [join(root, 'node_modules/.bin/node'), '-e', '0'] },
  ],
  9,
)

console.log()
const read = medians.get('ingot validate (by reading, without root)')
bar('validate by reading', read?.wallS, 0.5, 's')
bar('validate by the sandbox', medians.get('ingot validate --via sandbox --trusted')?.wallS, 3, 's')
bar('help', help.get('ingot --help')?.wallS, 0.15, 's')
bar('memory of the ingot process', read?.peakMiB, 150, 'MiB')
console.log(`\n(in ${place})`)
