/** The words of {@link TextSource}: common English first, most frequent first, then what people say about films. */
const split = (text: string): readonly string[] => text.trim().split(/\s+/)

export const commonWords = split(`
  the of and to a in is it that was for on with as his her they be at this have from or had by not but what all were when we there
  can an your which their said if do will each about how up out them then she many some so these would other into has more two
  like him see time could no make than first been its who now people my made over did down only way find use may long little very
  after words called just where most know get through back much before go good new write our used me man too any day same right
  look think also around another came come work three word must because does part even place well such here take why things help
  put years different away again off went old number great tell men say small every found still between name should home big give
  air line set own under read last never us left end along while might next sound below saw something thought both few those
  always show large often together asked house world going want school important until form food keep children feet land side
  without boy once animals life enough took sometimes four head above kind began almost live page got earth need far hand high
  year mother light parts country father let night following picture being study second eyes soon times story boys since white
  days ever paper hard near sentence better best across during today others however sure means knew try told young miles sun ways
  thing whole hear example heard several change answer room sea against top turned learn point city play toward five using himself
  usually money
`)

export const filmWords = split(`
  film movie scene actor actress director camera ending plot script dialogue character hero villain score music silence colour
  shot frame edit pace series episode season finale pilot trailer sequel remake classic cult indie studio budget premiere festival
  award audience critic review screen cinema theatre ticket popcorn projector reel cast crew producer writer costume makeup
  effects stunt animation documentary drama comedy tragedy thriller horror western romance mystery fantasy adventure noir musical
  biopic satire parody genre trope twist flashback montage voiceover subtitle dub soundtrack theme motif symbol allegory metaphor
  subtext tension suspense surprise emotion laughter tears grief joy anger love hate fear hope despair revenge betrayal friendship
  loyalty family childhood memory dream nightmare reality illusion travel space ship planet alien robot machine future past war
  peace battle soldier king queen prince empire rebellion detective murder clue evidence trial justice prison escape heist gang
  street village forest mountain desert ocean island storm winter summer autumn spring rain snow fire shadow mirror window door
  train station airport hotel hospital kitchen garden bridge tower castle church museum library letter diary photograph painting
  piano violin guitar song dance brilliant beautiful stunning gorgeous clever witty sharp subtle quiet loud slow fast tense gentle
  brutal honest raw tender bleak bright dark funny sad strange weird familiar fresh stale predictable shallow deep rich thin short
  perfect flawed uneven solid weak strong memorable forgettable underrated overrated haunting charming boring gripping moving
  touching dull lively convincing believable absurd surreal poetic epic intimate ambitious modest careful careless bold timid
  original derivative faithful loose watch rewatch finish start skip recommend enjoy admire forgive forget remember expect deserve
  earn build collapse unfold reveal hide linger rush drag soar stumble disappoint deliver promise fail succeed capture explore
  question echo borrow steal honour reward punish ruin save carry drive hold break bend burn glow fade shine whisper shout laugh
  cry smile stare listen breathe wander return leave arrive chase follow lead watching acting writing directing lighting editing
  casting pacing performance chemistry delivery atmosphere landscape interior detail texture rhythm melody chorus opening middle
  closing credits minute hour evening morning weekend couch sofa blanket remote phone tablet laptop speaker headphones stream
  download language french spanish german italian japanese korean swedish danish british american indian brazilian mexican
  canadian irish polish portuguese
`)

export const givenNames = split(`
  Ada Adam Aisha Alba Alex Amara Amir Ana Anders Anouk Anton Astrid Aya Bea Ben Bruno Camila Carl Chen Clara Dara David Diego Dina
  Elena Eli Elif Elsa Emil Emma Eva Farah Felix Finn Freya Greta Hana Hugo Ida Ines Iris Ivan Jack Jana Jonas Juan Julia Kaito
  Karim Katya Kenji Lars Laura Lea Leo Liam Lina Lola Luca Lucia Mads Maja Marco Maria Marta Mateo Maya Mei Mia Mila Milan Mina
  Mira Nadia Nils Nina Noah Nora Olga Oscar Otto Pablo Paula Petra Priya Rafael Rania Remi Rosa Ruth Sam Sara Sofia Sven Tara Theo
  Tom Uma Vera Victor Viola Wren Yara Yuki Zoe
`)

export const familyNames = split(`
  Abe Adler Almeida Andersson Bauer Becker Berg Bianchi Blanc Borges Braun Brown Campos Carter Castro Chen Clarke Costa Dahl Diaz
  Dubois Duran Ekman Ferrari Fischer Fontaine Garcia Gomez Gray Haas Hall Hansen Hayashi Hoffmann Holm Ibrahim Ito Jensen Jones
  Kaur Keller Khan Kim Klein Kowalski Kumar Lambert Larsen Lee Lima Lopez Lund Marino Martin Meyer Mori Moreau Murphy Nakamura
  Nguyen Nielsen Novak Okafor Oliveira Olsen Park Patel Pereira Petit Reyes Ricci Rossi Roux Sato Schmidt Silva Singh Smith Sousa
  Suzuki Tanaka Taylor Torres Vega Visser Wagner Walker Weber White Wolf Wong Wood Yamada Young Zhang
`)
