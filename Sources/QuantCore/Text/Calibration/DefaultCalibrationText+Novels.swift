// Novels from Project Gutenberg, with much dialogue.
extension DefaultCalibration {
  /// F. H. Burnett, Little Lord Fauntleroy (1886).
  static let littleLordFauntleroy = #"""
    “Wouldn't they!” said Mr. Hobbs. “They just glory in it! It's in 'em.
    They're a bad lot.”

    They were in the midst of their conversation, when Mary appeared.

    Cedric thought she had come to buy some sugar, perhaps, but she had not. She looked almost pale and as if she were excited \#
    about something.

    “Come home, darlint,” she said; “the misthress is wantin' yez.”

    Cedric slipped down from his stool.

    “Does she want me to go out with her, Mary?” he asked. “Good-morning, Mr. Hobbs. I'll see you again.”

    He was surprised to see Mary staring at him in a dumfounded fashion, and he wondered why she kept shaking her head.

    “What's the matter, Mary?” he said. “Is it the hot weather?”

    “No,” said Mary; “but there's strange things happenin' to us.”

    “Has the sun given Dearest a headache?” he inquired anxiously.

    But it was not that. When he reached his own house there was a coupe standing before the door and some one was in the \#
    little parlor talking to his mamma. Mary hurried him upstairs and put on his best summer suit of cream-colored flannel, \#
    with the red scarf around his waist, and combed out his curly locks.

    “Lords, is it?” he heard her say. “An' the nobility an' gintry. Och! bad cess to them! Lords, indade--worse luck.”

    It was really very puzzling, but he felt sure his mamma would tell him what all the excitement meant, so he allowed Mary to \#
    bemoan herself without asking many questions. When he was dressed, he ran downstairs and went into the parlor. A tall, thin \#
    old gentleman with a sharp face was sitting in an arm-chair. His mother was standing near by with a pale face, and he saw \#
    that there were tears in her eyes.

    “Oh! Ceddie!” she cried out, and ran to her little boy and caught him in her arms and kissed him in a frightened, troubled \#
    way. “Oh! Ceddie, darling!”

    The tall old gentleman rose from his chair and looked at Cedric with his sharp eyes. He rubbed his thin chin with his bony \#
    hand as he looked.

    He seemed not at all displeased.

    “And so,” he said at last, slowly,--“and so this is little Lord
    Fauntleroy.”

    II

    There was never a more amazed little boy than Cedric during the week that followed; there was never so strange or so unreal \#
    a week. In the first place, the story his mamma told him was a very curious one. He was obliged to hear it two or three \#
    times before he could understand it. He could not imagine what Mr. Hobbs would think of it. It began with earls: his \#
    grandpapa, whom he had never seen, was an earl; and his eldest uncle, if he had not been killed by a fall from his horse, \#
    would have been an earl, too, in time; and after his death, his other uncle would have been an earl, if he had not died \#
    suddenly, in Rome, of a fever. After that, his own papa, if he had lived, would have been an earl, but, since they all had \#
    died and only Cedric was left, it appeared that HE was to be an earl after his grandpapa's death--and for the present he \#
    was Lord Fauntleroy.

    He turned quite pale when he was first told of it.

    “Oh! Dearest!” he said, “I should rather not be an earl. None of the boys are earls. Can't I NOT be one?”

    But it seemed to be unavoidable. And when, that evening, they sat together by the open window looking out into the shabby \#
    street, he and his mother had a long talk about it. Cedric sat on his footstool, clasping one knee in his favorite attitude \#
    and wearing a bewildered little face rather red from the exertion of thinking. His grandfather had sent for him to come to \#
    England, and his mamma thought he must go.

    “Because,” she said, looking out of the window with sorrowful eyes, “I know your papa would wish it to be so, Ceddie. He \#
    loved his home very much; and there are many things to be thought of that a little boy can't quite understand. I should be \#
    a selfish little mother if I did not send you. When you are a man, you will see why.”

    Ceddie shook his head mournfully.

    “I shall be very sorry to leave Mr. Hobbs,” he said. “I'm afraid he'll miss me, and I shall miss him. And I shall miss them \#
    all.”

    When Mr. Havisham--who was the family lawyer of the Earl of Dorincourt, and who had been sent by him to bring Lord \#
    Fauntleroy to England--came the next day, Cedric heard many things. But, somehow, it did not console him to hear that he \#
    was to be a very rich man when he grew up, and that he would have castles here and castles there, and great parks and deep \#
    mines and grand estates and tenantry. He was troubled about his friend, Mr. Hobbs, and he went to see him at the store soon \#
    after breakfast, in great anxiety of mind.

    He found him reading the morning paper, and he approached him with a grave demeanor. He really felt it would be a great \#
    shock to Mr. Hobbs to hear what had befallen him, and on his way to the store he had been thinking how it would be best to \#
    break the news.

    “Hello!” said Mr. Hobbs. “Mornin'!”

    “Good-morning,” said Cedric.

    He did not climb up on the high stool as usual, but sat down on a cracker-box and clasped his knee, and was so silent for a \#
    few moments that Mr. Hobbs finally looked up inquiringly over the top of his newspaper.

    “Hello!” he said again.

    Cedric gathered all his strength of mind together.

    “Mr. Hobbs,” he said, “do you remember what we were talking about
    yesterday morning?”

    “Well,” replied Mr. Hobbs,--“seems to me it was England.”

    “Yes,” said Cedric; “but just when Mary came for me, you know?”

    Mr. Hobbs rubbed the back of his head.

    “We WAS mentioning Queen Victoria and the aristocracy.”

    “Yes,” said Cedric, rather hesitatingly, “and--and earls; don't you
    know?”

    “Why, yes,” returned Mr. Hobbs; “we DID touch 'em up a little; that's
    so!”

    tup_returned bigint

    Number of live rows fetched by sequential scans and index entries returned by index scans in this database

    tup_fetched bigint

    Number of live rows fetched by index scans in this database
    """#

  /// C. Dickens, Hard Times (1854).
  static let hardTimes = #"""
    Mr. Gradgrind rapidly assented; Mr. Sleary rapidly turned out from a box, a smock frock, a felt hat, and other essentials; \#
    the whelp rapidly changed clothes behind a screen of baize; Mr. Sleary rapidly brought beer, and washed him white again.

    ‘Now,’ said Sleary, ‘come along to the coath, and jump up behind; I’ll go with you there, and they’ll thuppothe you one of \#
    my people. Thay farewell to your family, and tharp’th the word.’ With which he delicately retired.

    ‘Here is your letter,’ said Mr. Gradgrind. ‘All necessary means will be provided for you. Atone, by repentance and better \#
    conduct, for the shocking action you have committed, and the dreadful consequences to which it has led. Give me your hand, \#
    my poor boy, and may God forgive you as I do!’

    The culprit was moved to a few abject tears by these words and their pathetic tone. But, when Louisa opened her arms, he \#
    repulsed her afresh.

    ‘Not you. I don’t want to have anything to say to you!’

    ‘O Tom, Tom, do we end so, after all my love!’

    ‘After all your love!’ he returned, obdurately. ‘Pretty love! Leaving old Bounderby to himself, and packing my best friend \#
    Mr. Harthouse off, and going home just when I was in the greatest danger. Pretty love that! Coming out with every word \#
    about our having gone to that place, when you saw the net was gathering round me. Pretty love that! You have regularly \#
    given me up. You never cared for me.’

    ‘Tharp’th the word!’ said Sleary, at the door.

    They all confusedly went out: Louisa crying to him that she forgave him, and loved him still, and that he would one day be \#
    sorry to have left her so, and glad to think of these her last words, far away: when some one ran against them. Mr. \#
    Gradgrind and Sissy, who were both before him while his sister yet clung to his shoulder, stopped and recoiled.

    For, there was Bitzer, out of breath, his thin lips parted, his thin nostrils distended, his white eyelashes quivering, his \#
    colourless face more colourless than ever, as if he ran himself into a white heat, when other people ran themselves into a \#
    glow. There he stood, panting and heaving, as if he had never stopped since the night, now long ago, when he had run them \#
    down before.

    ‘I’m sorry to interfere with your plans,’ said Bitzer, shaking his head, ‘but I can’t allow myself to be done by \#
    horse-riders. I must have young Mr. Tom; he mustn’t be got away by horse-riders; here he is in a smock frock, and I must \#
    have him!’

    By the collar, too, it seemed. For, so he took possession of him.

    CHAPTER VIII
    PHILOSOPHICAL

    THEY went back into the booth, Sleary shutting the door to keep intruders out. Bitzer, still holding the paralysed culprit \#
    by the collar, stood in the Ring, blinking at his old patron through the darkness of the twilight.

    ‘Bitzer,’ said Mr. Gradgrind, broken down, and miserably submissive to him, ‘have you a heart?’

    ‘The circulation, sir,’ returned Bitzer, smiling at the oddity of the question, ‘couldn’t be carried on without one. No \#
    man, sir, acquainted with the facts established by Harvey relating to the circulation of the blood, can doubt that I have a \#
    heart.’

    ‘Is it accessible,’ cried Mr. Gradgrind, ‘to any compassionate
    influence?’

    ‘It is accessible to Reason, sir,’ returned the excellent young man. ‘And to nothing else.’

    They stood looking at each other; Mr. Gradgrind’s face as white as the
    pursuer’s.

    ‘What motive—even what motive in reason—can you have for preventing the escape of this wretched youth,’ said Mr. Gradgrind, \#
    ‘and crushing his miserable father? See his sister here. Pity us!’

    ‘Sir,’ returned Bitzer, in a very business-like and logical manner, ‘since you ask me what motive I have in reason, for \#
    taking young Mr. Tom back to Coketown, it is only reasonable to let you know. I have suspected young Mr. Tom of this \#
    bank-robbery from the first. I had had my eye upon him before that time, for I knew his ways. I have kept my observations \#
    to myself, but I have made them; and I have got ample proofs against him now, besides his running away, and besides his own \#
    confession, which I was just in time to overhear. I had the pleasure of watching your house yesterday morning, and \#
    following you here. I am going to take young Mr. Tom back to Coketown, in order to deliver him over to Mr. Bounderby. Sir, \#
    I have no doubt whatever that Mr. Bounderby will then promote me to young Mr. Tom’s situation. And I wish to have his \#
    situation, sir, for it will be a rise to me, and will do me good.’

    ‘If this is solely a question of self-interest with you—’ Mr. Gradgrind
    began.

    ‘I beg your pardon for interrupting you, sir,’ returned Bitzer; ‘but I am sure you know that the whole social system is a \#
    question of self-interest. What you must always appeal to, is a person’s self-interest. It’s your only hold. We are so \#
    constituted. I was brought up in that catechism when I was very young, sir, as you are aware.’

    ‘What sum of money,’ said Mr. Gradgrind, ‘will you set against your
    expected promotion?’
    """#

  /// P. G. Wodehouse, The Inimitable Jeeves (1923).
  static let inimitableJeeves = #"""
    I stared at him. That flower in his buttonhole.... That dazed look.... Yes, he had all the symptoms; and yet the thing \#
    seemed incredible. The fact is, I suppose, I'd seen so many of young Bingo's love affairs start off with a whoop and a \#
    rattle and poof themselves out half-way down the straight that I couldn't believe he had actually brought it off at last.

    "Married!"

    "Yes. This morning at a registrar's in Holburn. I've just come from the wedding breakfast."

    I sat up in my chair. Alert. The man of affairs. It seemed to me that this thing wanted threshing out in all its aspects.

    "Let's get this straight," I said. "You're really married?"

    "Yes."

    "The same girl you were in love with the day before yesterday?"

    "What do you mean?"

    "Well, you know what you're like. Tell me, what made you commit this
    rash act?"

    "I wish the deuce you wouldn't talk like that. I married her because I love her, dash it. The best little woman," said \#
    young Bingo, "in the world."

    "That's all right, and deuced creditable, I'm sure. But have you reflected what your uncle's going to say? The last I saw \#
    of him, he was by no means in a confetti-scattering mood."

    "Bertie," said Bingo, "I'll be frank with you. The little woman rather put it up to me, if you know what I mean. I told her \#
    how my uncle felt about it, and she said that we must part unless I loved her enough to brave the old boy's wrath and marry \#
    her right away. So I had no alternative. I bought a buttonhole and went to it."

    "And what do you propose to do now?"

    "Oh, I've got it all planned out! After you've seen my uncle and broken
    the news...."

    "What!"

    "After you've...."

    "You don't mean to say you think you're going to lug me into it?"

    He looked at me like Lilian Gish coming out of a swoon.

    "Is this Bertie Wooster talking?" he said, pained.

    "Yes, it jolly well is."

    "Bertie, old man," said Bingo, patting me gently here and there, "reflect! We were at school----"

    "Oh, all right!"

    "Good man! I knew I could rely on you. She's waiting down below in the hall. We'll pick her up and dash round to Pounceby \#
    Gardens right away."

    I had only seen the bride before in her waitress kit, and I was rather expecting that on her wedding day she would have \#
    launched out into something fairly zippy in the way of upholstery. The first gleam of hope I had felt since the start of \#
    this black business came to me when I saw that, instead of being all velvet and scent and flowery hat, she was dressed in \#
    dashed good taste. Quiet. Nothing loud. So far as looks went, she might have stepped straight out of Berkeley Square.

    "This is my old pal, Bertie Wooster, darling," said Bingo. "We were at school together, weren't we, Bertie?"

    "We were!" I said. "How do you do? I think we--er--met at lunch the
    other day, didn't we?"

    "Oh, yes! How do you do?"

    "My uncle eats out of Bertie's hand," explained Bingo. "So he's coming round with us to start things off and kind of pave \#
    the way. Hi, taxi!"

    We didn't talk much on the journey. Kind of tense feeling. I was glad when the cab stopped at old Bittlesham's wigwam and \#
    we all hopped out. I left Bingo and wife in the hall while I went upstairs to the drawing-room, and the butler toddled off \#
    to dig out the big chief.

    While I was prowling about the room waiting for him to show up, I suddenly caught sight of that bally "Woman Who Braved \#
    All" lying on one of the tables. It was open at page two hundred and fifteen, and a passage heavily marked in pencil caught \#
    my eye. And directly I read it I saw that it was all to the mustard and was going to help me in my business.

    This was the passage:

    "What can prevail"--Millicent's eyes flashed as she faced the
    stern old man--"what can prevail against a pure and all-consuming
    love? Neither principalities nor powers, my lord, nor all the
    puny prohibitions of guardians and parents. I love your son, Lord
    Mindermere, and nothing can keep us apart. Since time first began
    this love of ours was fated, and who are you to pit yourself
    against the decrees of Fate?"

    The earl looked at her keenly from beneath his bushy eyebrows.

    "Humph!" he said.

    Before I had time to refresh my memory as to what Millicent's come-back had been to that remark, the door opened and old \#
    Bittlesham rolled in. All over me, as usual.

    "My dear Mr. Wooster, this is an unexpected pleasure. Pray take a seat. What can I do for you?"

    "Well, the fact is, I'm more or less in the capacity of a jolly old ambassador at the moment. Representing young Bingo, you \#
    know."

    His geniality sagged a trifle, I thought, but he didn't heave me out,
    so I pushed on.

    "The way I always look at it," I said, "is that it's dashed difficult for anything to prevail against what you might call a \#
    pure and all-consuming love. I mean, can it be done? I doubt it."
    """#

  /// A. Conan Doyle, The Firm of Girdlestone (1890).
  static let firmOfGirdlestone = #"""
    The guests were as varied as the wines, though hardly as select. Mrs. Scully's exuberant hospitality included, as already \#
    intimated, not only her own friends, but those of her fellow-boarders, so that from an early hour the rooms began to fill, \#
    and by nine o'clock there was hardly space for the dancers. Hansoms and growlers rattled up in a continuous stream and \#
    discharged their burdens. There was a carpet down from the kerb to the head of the lodging-house steps, "like r'yalty," as \#
    the cook expressed it, and the greengrocer's man in the hall looked so pompous and inflated in his gorgeous attire that his \#
    own cabbages would hardly have recognized him. His main defect as a footman was that he was somewhat hard of hearing, and \#
    had a marvellous faculty of misinterpreting whatever was said to him, which occasionally led to remarkable results. Thus, \#
    when he announced the sporting Captain Livingstone Tuck under the title of Captain Lives-on-his luck, it was felt that he \#
    was rather too near the truth to be pleasant. Indeed, the company had hardly recovered from the confusion produced by this \#
    small incident when the two Bohemians made their appearance.

    Mrs. Scully, who was tastefully arrayed in black satin and lace, stood near the door of the drawing-room, and looked very \#
    charming and captivating as she fulfilled her duties as hostess. So thought the major as he approached her and shook her \#
    hand, with some well turned compliment upon his lips.

    "Let me inthroduce me friend, Herr von Baumser," he added.

    Mrs. Scully smiled upon the German in a way that won his Teutonic heart. "You will find programmes over there," she \#
    explained. "I think the first is a round dance. No, thank you, major; I shall stand out, or there will be no one to receive \#
    the people." She hurried away to greet a party of new arrivals, while the major and Baumser wandered off in search of \#
    partners.

    There was no want of spirit or of variety in the dancing at Morrison's. From Mr. Snodder, the exciseman, who danced the \#
    original old-fashioned trois-temps, to young Bucklebury, of the Bank, who stationed himself immediately underneath the \#
    central chandelier, and spun rapidly round with his partner upon his own axis, like a couple of beetles impaled upon a \#
    single pin, every possible variation of the art of waltzing was to be observed. There was Mr. Smith, of the Medical \#
    College, rotating round with Miss Clara Timms, their faces wearing that pained and anxious expression which the British \#
    countenance naturally assumes when dancing, giving the impression that the legs have suddenly burst forth in a festive \#
    mood, and have dragged the rest of the body into it very much against its will. There was the major too, who had succeeded \#
    in obtaining Mrs. Scully as a partner, and was dancing as old soldiers can dance, threading his way through the crowded \#
    room with the ease begotten by the experience of a lifetime. Meanwhile Von Baumser, at the other end, was floundering about \#
    with a broad smile upon his face and an elderly lady tucked under his right arm, while he held her disengaged hand straight \#
    out at right angles, as if she had been a banjo. In short, the fun was fast and furious, and waltz followed polka and \#
    mazurka followed waltz with a rapidity which weeded out the weaker vessels among the dancers and tested the stamina of the \#
    musicians.

    Then there was the card-room, whither the Widow Scully and the major and many others of the elders repaired when they found \#
    the pace too fast for them. Very snug and comfortable it was, with its square tables, each with a fringe of chairs, and the \#
    clean shining cards spread out over their green baize surfaces. The major and his hostess played against Captain \#
    Livingstone Tuck and an old gentleman who came from Lambeth, with the result that the gallant captain and his partner rose \#
    up poorer and sadder men, which was rather a blow to the former, who reckoned upon clearing a little on such occasions, and \#
    had not expected to find himself opposed by such a past master of the art as the major. Then the veteran and another played \#
    the hostess and another lady, and the cunning old dog managed to lose in such a natural manner, and to pay up with such a \#
    good grace, and with so many pretty speeches and compliments, that the widow's partner was visibly impressed, a fact which, \#
    curiously enough, seemed to be anything but agreeable to the widow. After that they all filed off to supper, where they \#
    found the dancers already in possession, and there was much crushing and crowding, which tended to do away with ceremony \#
    and to promote the harmony of the evening.

    If the major had contrived to win favour from Mrs. Lavinia Scully in the early part of the evening, he managed now to \#
    increase any advantage he had gained. In the first place he inquired in a very loud voice of Captain Tuck, at the other end \#
    of the table, whether that gentleman had ever met the deceased Major-General Scully, and being answered in the negative, he \#
    descanted fluently upon the merits of that imaginary warrior. After this unscrupulous manoeuvre the major proceeded to do \#
    justice to the wine and to indulge in sporting reminiscences, and military reminiscences, and travelling reminiscences, and \#
    social reminiscences, all of which he treated in a manner which called forth the admiration of his audience. Then, when \#
    supper had at last been finished, and the last cork drawn and the last glass filled, the dancers went back to their dance \#
    and the card-players to their cards, and the major addressed himself more assiduously than ever to the pursuit of the widow.
    """#
}
