"""What is said in the calls of amd-corpus, by language and part; and the tones of the network. Names stand for {}."""

NAMES = {
    "en": {"tune": ["John Miller", "Mary", "Peter Hall", "Susan Clark", "David"],
           "held": ["Karen Doyle", "Mike", "Laura Evans", "Tom Baker", "Rachel"]},
    "es": {"tune": ["Carlos", "María García", "Antonio López", "Lucía"],
           "held": ["Javier Ruiz", "Elena", "Pablo Moreno", "Carmen"]},
    "cs": {"tune": ["Novák", "Svobodová", "Petr Dvořák", "Horák"],
           "held": ["Černý", "Procházková", "Jan Kučera", "Veselá"]},
}

PEOPLE = {
    "en": {"tune": ["hello?", "hello?", "hello?", "yes?", "hi.", "yeah, hello?", "yes, hello?", "hello, who is this?", "good morning.",
                    "hello, {}.", "{} speaking.", "hello, this is {}.", "{}?"],
           "held": ["hello.", "hello?", "hello?", "yep?", "hey.", "hello, yes?", "hi, hello?", "hello, who's that?", "good evening.",
                    "hi, {} here.", "{} here.", "hello, {} speaking.", "yes, {}."]},
    "es": {"tune": ["¿diga?", "¿sí?", "¿dígame?", "hola.", "¿sí, dígame?", "hola, ¿quién es?", "hola, soy {}.", "{}, dígame."],
           "held": ["¿bueno?", "¿aló?", "¿sí, diga?", "hola, buenas.", "¿quién habla?", "sí, soy {}.", "{}, buenos días."]},
    "cs": {"tune": ["haló?", "prosím?", "ano?", "no haló?", "ano, prosím?", "dobrý den.", "{}, prosím.", "{}.", "tady {}."],
           "held": ["prosím.", "haló, prosím?", "no?", "slyším.", "ano, slyším vás.", "{}, dobrý den.", "{}.", "ano, {}."]},
}

PEOPLE_LONG = {
    "en": {"tune": ["good morning, Harris Plumbing, {} speaking, how can I help you?", "hello, Miller residence, who is calling please?"],
           "held": ["good afternoon, Lakeside Dental, this is {}, what can I do for you?", "hi there, you're through to {}, who's this?"]},
    "es": {"tune": ["buenos días, talleres García, le atiende {}, ¿en qué puedo ayudarle?"],
           "held": ["buenas tardes, farmacia Central, habla {}, ¿qué desea?"]},
    "cs": {"tune": ["dobrý den, autoservis Horák, u telefonu {}, co pro vás mohu udělat?"],
           "held": ["dobré odpoledne, lékárna U Anděla, {}, jak vám mohu pomoci?"]},
}

VOICEMAIL = {
    "en": {"tune": [
        "your call has been forwarded to an automatic voice message system. {} is not available. at the tone, please record your message.",
        "the person you have called is unable to take your call. please leave a message after the tone.",
        "you have reached the voice mailbox of {}. please leave your message after the beep.",
        "hi, this is {}. I can't come to the phone right now, so leave me a message and I'll call you back.",
        "hello, you've reached {}. I'm not here at the moment, please leave your name and number.",
        "we are sorry, the subscriber you have dialed is not available. please try again later.",
        "welcome to the messaging service of {}. to leave a message, speak after the signal.",
        "you've reached the Miller family. nobody is home right now, leave us a message.",
    ], "held": [
        "the number you are calling is not available at the moment. please record your message after the tone.",
        "sorry, no one is available to take your call. please leave your message after the beep.",
        "you are connected to the voicemail of {}. when you have finished recording, you may hang up.",
        "hey, it's {}. I must have missed your call, leave a message and have a great day.",
        "hello, this is the phone of {}. please tell me who called and I will get back to you.",
        "the customer you have called has a voice mailbox that has not been set up yet. good bye.",
        "thank you for your call. {} can't answer it just now, but will return it as soon as possible.",
        "this is the answering machine of the Evans family. we are out, so please speak after the tone.",
    ]},
    "es": {"tune": [
        "ha llamado al buzón de voz de {}. por favor, deje su mensaje después de la señal.",
        "el teléfono al que llama está apagado o fuera de cobertura en este momento.",
        "hola, soy {}. ahora no puedo atenderte, deja tu mensaje y te llamo en cuanto pueda.",
        "el cliente al que llama no está disponible. deje su mensaje después de oír la señal.",
    ], "held": [
        "este es el contestador automático de {}. deje un mensaje después del tono, gracias.",
        "su llamada ha sido transferida al buzón de voz. grabe su mensaje al oír la señal.",
        "hola, has llamado a {}. no estoy en casa, pero puedes dejarme un recado.",
        "en este momento no podemos atender su llamada. deje su nombre y su número de teléfono.",
    ]},
    "cs": {"tune": [
        "dovolali jste se do hlasové schránky účastníka {}. zanechte prosím vzkaz po zaznění tónu.",
        "volaný účastník není dostupný. zavolejte prosím později nebo zanechte vzkaz.",
        "dobrý den, tady {}. teď nemohu telefon zvednout, nechte mi prosím vzkaz.",
        "volané číslo je dočasně nedostupné. po zaznění signálu můžete zanechat zprávu.",
    ], "held": [
        "účastník, kterému voláte, není momentálně k dispozici. zanechte mu zprávu po zaznění tónu.",
        "toto je hlasová schránka čísla sedm dva tři. po signálu namluvte svůj vzkaz.",
        "ahoj, tady {}. nejsem u telefonu, ale zanechte mi vzkaz a já se vám ozvu.",
        "váš hovor byl přesměrován do hlasové pošty. mluvte prosím po zaznění signálu.",
    ]},
}

MENUS = {
    "en": {"tune": ["thank you for calling Acme Insurance. for claims press one, for sales press two, or stay on the line.",
                    "welcome to First City Bank. your call may be recorded. to check your balance press one."],
           "held": ["thanks for calling Lakeside Dental. our office is closed. to make an appointment press one, for billing press two.",
                    "you have reached the county clerk's office. if you know your party's extension, you may dial it now."]},
    "es": {"tune": ["bienvenido a Seguros Norte. para ventas, pulse uno. para siniestros, pulse dos."],
           "held": ["gracias por llamar a Clínica Central. si desea una cita, marque uno. si no, espere por favor."]},
    "cs": {"tune": ["vítejte na zákaznické lince. pro obchodní oddělení stiskněte jedničku, pro technickou podporu dvojku."],
           "held": ["děkujeme, že voláte pojišťovnu Sever. váš hovor může být nahráván. pro hlášení škody stiskněte jedna."]},
}

SCREENING = {
    "en": {"tune": ["hi, the person you're calling is using a screening service, and will get a copy of this conversation. please say your name and why you are calling.",
                    "hi. if you record your name and reason for calling, I'll see if this person is available."],
           "held": ["hello. the person you are trying to reach uses an assistant that answers calls. go ahead and say who you are and what the call is about.",
                    "before I try to connect you, can I ask what you're calling about?"]},
    "es": {"tune": ["hola, la persona a la que llama usa un filtro de llamadas. diga su nombre y el motivo de su llamada."],
           "held": ["si graba su nombre y el motivo de la llamada, veré si esta persona está disponible."]},
    "cs": {"tune": ["dobrý den, volaná osoba používá službu pro filtrování hovorů. řekněte prosím své jméno a důvod hovoru."],
           "held": ["když uvedete své jméno a důvod hovoru, zjistím, zda je volaná osoba k dispozici."]},
}

SIT_TEXT = {"en": {"tune": ["we're sorry, your call cannot be completed as dialed. please check the number and dial again."],
                   "held": ["the number you have reached is not in service. if you feel you have reached this recording in error, try again."]}}

TELEVISION = {
    "en": {"tune": "and now the weather for the weekend. clouds will come in from the north, with some rain on Saturday, and it stays cool until Monday. over to the sports desk, where a long match has just ended.",
           "held": "in tonight's film a young lawyer comes back to the town where she grew up. she meets an old friend, and they both find out that little is as it was. after the break we talk with the director."},
    "es": {"tune": "y ahora las noticias del día. el gobierno ha presentado esta mañana un plan para mejorar las carreteras, y los alcaldes piden más tiempo para estudiarlo antes de la votación.",
           "held": "la receta de hoy lleva tomates, aceite, un poco de ajo y pan del día anterior. se mezcla todo despacio y se deja reposar media hora antes de servirlo frío."},
    "cs": {"tune": "a nyní předpověď počasí. v noci bude zataženo, na horách se objeví sněžení a ráno místy mlhy. odpoledne se vyjasní a teploty vystoupí až k deseti stupňům.",
           "held": "v dnešním díle se podíváme na starý mlýn u řeky, který jeho majitel opravuje už dvacet let. ukáže nám kolo, kámen a mouku, kterou sám mele pro celou vesnici."},
}

# ITU-T E.180 supplement 2: frequencies and on, off, on, off … in ms.
COUNTRIES = {
    "us": {"ringback": ([440, 480], [2000, 4000]), "busy": ([480, 620], [500, 500]), "congestion": ([480, 620], [250, 250])},
    "gb": {"ringback": ([400, 450], [400, 200, 400, 2000]), "busy": ([400], [375, 375]), "congestion": ([400], [400, 350, 225, 525])},
    "es": {"ringback": ([425], [1500, 3000]), "busy": ([425], [200, 200]), "congestion": ([425], [200, 200, 200, 200, 200, 600])},
    "cz": {"ringback": ([425], [1000, 4000]), "busy": ([425], [330, 330]), "congestion": ([425], [165, 165])},
    "de": {"ringback": ([425], [1000, 4000]), "busy": ([425], [480, 480]), "congestion": ([425], [240, 240])},
    "fr": {"ringback": ([440], [1500, 3500]), "busy": ([440], [500, 500]), "congestion": ([440], [250, 250])},
}

# ITU-T E.180 §7, and the North American codes within its tolerance.
SIT = {
    "itu": [(950, 330), (1400, 330), (1800, 330)],
    "intercept": [(913.8, 274), (1370.6, 274), (1776.7, 380)],
    "vacant": [(985.2, 380), (1370.6, 274), (1776.7, 380)],
    "reorder": [(913.8, 274), (1428.5, 380), (1776.7, 380)],
    "no-circuit": [(985.2, 380), (1428.5, 380), (1776.7, 380)],
}
