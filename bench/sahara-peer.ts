/**
 * Sahara's own `sahara-image-pack`, in the chroot that `SAHARA_CHROOT` names: it is no longer part of
 * current distributions. `bench/setup` makes such a chroot.
 */
import { existsSync } from 'node:fs'
import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { copyImage } from './place.ts'
import type { Absent, Contender } from './series.ts'

const HERE = import.meta.dirname

export interface SaharaRun {
  name: string
  /** Where the run may put what it needs; made if it is not there. */
  directory: string
  /** The image of which a copy is packed. */
  image: string
  testOnly?: boolean
  /** Called with the packed copy. */
  check?: (image: string) => Promise<void>
}

export function makeSaharaContender(run: SaharaRun): Contender | Absent {
  const { name, directory, image, testOnly = false, check } = run
  const chroot = process.env['SAHARA_CHROOT']
  if (!chroot)
    return { name, why: 'SAHARA_CHROOT is not set; `SAHARA_CHROOT=DIR bench/setup` makes one' }
  if (!existsSync(join(chroot, 'usr/bin/sahara-image-pack')))
    return { name, why: `no sahara-image-pack in the chroot that SAHARA_CHROOT names` }
  const copy = join(directory, 'image.qcow2')
  return {
    name,
    prepare: async () => {
      await mkdir(directory, { recursive: true })
      await cp(join(HERE, 'sahara'), directory, { recursive: true })
      // Python remembers which plugins there were.
      await rm(join(chroot, 'root/.cache/python-entrypoints'), { recursive: true, force: true })
      await copyImage(image, copy)
    },
    argv: [
      join(HERE, 'in-chroot'), chroot, directory,
      'sahara-image-pack', '--config-file', '/bench/sahara.conf', '--image', '/bench/image.qcow2',
      ...(testOnly ? ['--test-only'] : []), 'storm', 'work',
    ],
    ...(check === undefined ? {} : { check: () => check(copy) }),
    leftovers: [directory],
  } // prettier-ignore
}
