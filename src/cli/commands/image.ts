import type { CommandModule } from '../cli.ts'
import { defineCreate, defineImport } from '../image/create.ts'
import { defineList } from '../image/list.ts'
import { defineSave } from '../image/save.ts'
import { defineSet } from '../image/set.ts'
import { defineDelete, defineFormats, defineShare, defineShow } from '../image/show.ts'

const HELP = `
The embedded service is meant unless a cloud is named, by --os-cloud or OS_… variables: no server need run, and
one that does may. Names stand for ids where only one image has the name.
  ingot image import debian-12 --file debian-12.qcow2
  ingot image save debian-12 --format vhdx --output debian-12.vhdx`

/** `ingot image …`: images of the embedded service, or of any image service. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command.usage('list|show|create|import|save|set|delete|share|formats').addHelpText('after', HELP)
  for (const add of [
    defineList,
    defineShow,
    defineCreate,
    defineImport,
    defineSave,
    defineSet,
    defineDelete,
    defineShare,
    defineFormats,
  ])
    add(command, openCli)
}
