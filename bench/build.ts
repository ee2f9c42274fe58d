/** A package set to a bootable image, against the same packages as a tar by mmdebstrap alone, and other builders. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram, runTool } from '../src/base/process.ts'
import { bar, compare, runsWanted } from './measure.ts'
import { INGOT, place, root } from './place.ts'
import { mkdir } from 'node:fs/promises'

await mkdir(place, { recursive: true })
const recipe = join(root, 'bench/work/base.yaml')
const output = join(place, 'built.raw')
// Every package the image ends up with, so that the tar holds the same ones.
await runTool([INGOT, 'build', recipe, '--output', output, '-q'])
const manifest = JSON.parse(
  (await runTool(['cat', join(place, 'built.manifest.json')])).toString(),
) as { packages: { name: string }[] }
const packages = manifest.packages.map(({ name }) => name)
const suite = 'bookworm'
const mirror = (
  await runTool([
    'sh',
    '-c',
    `apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(CREATED_BY)' | awk -v c=${suite} '$2 == c && $3 == "Packages" { print $1; exit }'`,
  ])
)
  .toString()
  .trim()

const mkosi = join(place, 'mkosi.conf')
await writeFile(
  mkosi,
  `[Distribution]\nDistribution=debian\nRelease=${suite}\nMirror=${mirror.replace(/\/$/, '')}\n[Output]\nFormat=disk\nOutput=mkosi\n[Content]\nBootable=yes\nPackages=${packages.join(',')}\n`,
)
const vmdb = join(place, 'vmdb2.yaml')
await writeFile(
  vmdb,
  `steps:
  - mkimg: "{{ output }}"
    size: 2G
  - mklabel: gpt
    device: "{{ output }}"
  - mkpart: primary
    device: "{{ output }}"
    start: 1M
    end: 3M
    tag: bios
    part-type: ef02
  - mkpart: primary
    device: "{{ output }}"
    start: 3M
    end: 100%
    tag: root
  - kpartx: "{{ output }}"
  - mkfs: ext4
    partition: root
  - mount: root
  - debootstrap: ${suite}
    mirror: ${mirror}
    target: root
  - apt: install
    packages: [${packages.join(', ')}]
    tag: root
`,
)
const medians = await compare(
  `Build: ${packages.length} packages to a bootable image`,
  [
    { name: 'ingot build', argv: [INGOT, 'build', recipe, '--output', output, '-q'] },
    {
      name: 'mmdebstrap (a tar)',
      argv:
        findProgram('mmdebstrap') === undefined
          ? undefined
          : [
              'mmdebstrap',
              '--variant=minbase',
              `--include=${packages.join(',')}`,
              suite,
              join(place, 'built.tar'),
              mirror,
            ],
      skip: 'mmdebstrap is not installed',
    },
    {
      name: 'vmdb2',
      argv:
        findProgram('vmdb2') === undefined
          ? undefined
          : ['vmdb2', vmdb, '--output', join(place, 'vmdb2.raw')],
      skip: 'vmdb2 is not installed (apt-get install vmdb2)',
    },
    {
      name: 'mkosi',
      argv:
        findProgram('mkosi') === undefined ? undefined : ['mkosi', '--force', '--directory', place],
      skip: 'mkosi is not installed (apt-get install mkosi)',
    },
    {
      name: 'debos',
      argv: undefined,
      skip: findProgram('debos')
        ? 'it runs in a KVM machine of its own only'
        : 'debos is not installed; it wants a KVM machine of its own',
    },
  ],
  runsWanted(),
)
console.log()
const [ingot, mmdebstrap] = [medians.get('ingot build'), medians.get('mmdebstrap (a tar)')]
bar(
  "ingot build, share of mmdebstrap's wall time",
  ingot && mmdebstrap && ingot.wallS / mmdebstrap.wallS,
  1.3,
  '',
)
bar(
  "ingot build, share of mmdebstrap's CPU time",
  ingot && mmdebstrap && ingot.cpuS / mmdebstrap.cpuS,
  1.3,
  '',
)
