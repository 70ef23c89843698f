// Tales and older prose from Project Gutenberg.
extension DefaultCalibration {
  /// W. Scott, Kenilworth (1821).
  static let kenilworth = #"""
    “That sister of thine, Wayland,” he said, “has a fair neck to have been born in a smithy, and a pretty taper hand to have \#
    been used for twirling a spindle--faith, I'll believe in your relationship when the crow's egg is hatched into a cygnet.”

    “Go to,” said Wayland, “thou art a prating boy, and should be breeched for thine assurance.”

    “Well,” said the imp, drawing off, “all I say is--remember you have kept a secret from me, and if I give thee not a Roland \#
    for thine Oliver, my name is not Dickon Sludge!”

    “To-morrow, madam,” he said to his charge, “we will, with your leave, again start early, and reach Kenilworth before the \#
    rout which are to assemble there.”

    The Countess gave assent to the proposal of her faithful guide; but, somewhat to his surprise, said nothing further on the \#
    subject, which left Wayland under the disagreeable uncertainty whether or no she had formed any plan for her own future \#
    proceedings, as he knew her situation demanded circumspection, although he was but imperfectly acquainted with all its \#
    peculiarities. Concluding, however, that she must have friends within the castle, whose advice and assistance she could \#
    safely trust, he supposed his task would be best accomplished by conducting her thither in safety, agreeably to her \#
    repeated commands.

    CHAPTER XXV.

    Hark, the bells summon, and the bugle calls,
    But she the fairest answers not--the tide
    Of nobles and of ladies throngs the halls,
    But she the loveliest must in secret hide.
    What eyes were thine, proud Prince, which in the gleam
    Of yon gay meteors lost that better sense,
    That o'er the glow-worm doth the star esteem,
    And merit's modest blush o'er courtly insolence?
    --THE GLASS SLIPPER.

    The unfortunate Countess of Leicester had, from her infancy upwards, been treated by those around her with indulgence as \#
    unbounded as injudicious. The natural sweetness of her disposition had saved her from becoming insolent and ill-humoured; \#
    but the caprice which preferred the handsome and insinuating Leicester before Tressilian, of whose high honour and \#
    unalterable affection she herself entertained so firm an opinion--that fatal error, which ruined the happiness of her life, \#
    had its origin in the mistaken kindness; that had spared her childhood the painful but most necessary lesson of submission \#
    and self-command. From the same indulgence it followed that she had only been accustomed to form and to express her wishes, \#
    leaving to others the task of fulfilling them; and thus, at the most momentous period of her life, she was alike destitute \#
    of presence of mind, and of ability to form for herself any reasonable or prudent plan of conduct.
    """#

  /// T. More, Utopia (1516), an English translation.
  static let utopia = #"""
    "If this method does not succeed with them, then they sow seeds of contention among their enemies, and animate the prince's \#
    brother, or some of the nobility, to aspire to the crown. If they cannot disunite them by domestic broils, then they engage \#
    their neighbours against them, and make them set on foot some old pretensions, which are never wanting to princes when they \#
    have occasion for them. These they plentifully supply with money, though but very sparingly with any auxiliary troops; for \#
    they are so tender of their own people that they would not willingly exchange one of them, even with the prince of their \#
    enemies' country.

    "But as they keep their gold and silver only for such an occasion, so, when that offers itself, they easily part with it; \#
    since it would be no convenience to them, though they should reserve nothing of it to themselves. For besides the wealth \#
    that they have among them at home, they have a vast treasure abroad; many nations round about them being deep in their \#
    debt: so that they hire soldiers from all places for carrying on their wars; but chiefly from the Zapolets, who live five \#
    hundred miles east of Utopia. They are a rude, wild, and fierce nation, who delight in the woods and rocks, among which \#
    they were born and bred up. They are hardened both against heat, cold, and labour, and know nothing of the delicacies of \#
    life. They do not apply themselves to agriculture, nor do they care either for their houses or their clothes: cattle is all \#
    that they look after; and for the greatest part they live either by hunting or upon rapine; and are made, as it were, only \#
    for war. They watch all opportunities of engaging in it, and very readily embrace such as are offered them. Great numbers \#
    of them will frequently go out, and offer themselves for a very low pay, to serve any that will employ them: they know none \#
    of the arts of life, but those that lead to the taking it away; they serve those that hire them, both with much courage and \#
    great fidelity; but will not engage to serve for any determined time, and agree upon such terms, that the next day they may \#
    go over to the enemies of those whom they serve if they offer them a greater encouragement; and will, perhaps, return to \#
    them the day after that upon a higher advance of their pay. There are few wars in which they make not a considerable part \#
    of the armies of both sides: so it often falls out that they who are related, and were hired in the same country, and so \#
    have lived long and familiarly together, forgetting both their relations and former friendship, kill one another upon no \#
    other consideration than that of being hired to it for a little money by princes of different interests; and such a regard \#
    have they for money that they are easily wrought on by the difference of one penny a day to change sides. So entirely does \#
    their avarice influence them; and yet this money, which they value so highly, is of little use to them; for what they \#
    purchase thus with their blood they quickly waste on luxury, which among them is but of a poor and miserable form.
    """#

  /// J. Conrad, The Secret Sharer (1910).
  static let secretSharer = #"""
    The fourth day out, I think (we were then working down the east side of the Gulf of Siam, tack for tack, in light winds and \#
    smooth water)—the fourth day, I say, of this miserable juggling with the unavoidable, as we sat at our evening meal, that \#
    man, whose slightest movement I dreaded, after putting down the dishes ran up on deck busily. This could not be dangerous. \#
    Presently he came down again; and then it appeared that he had remembered a coat of mine which I had thrown over a rail to \#
    dry after having been wetted in a shower which had passed over the ship in the afternoon. Sitting stolidly at the head of \#
    the table I became terrified at the sight of the garment on his arm. Of course he made for my door. There was no time to \#
    lose.

    “Steward,” I thundered. My nerves were so shaken that I could not govern my voice and conceal my agitation. This was the \#
    sort of thing that made my terrifically whiskered mate tap his forehead with his forefinger. I had detected him using that \#
    gesture while talking on deck with a confidential air to the carpenter. It was too far to hear a word, but I had no doubt \#
    that this pantomime could only refer to the strange new captain.

    “Yes, sir,” the pale-faced steward turned resignedly to me. It was this maddening course of being shouted at, checked \#
    without rhyme or reason, arbitrarily chased out of my cabin, suddenly called into it, sent flying out of his pantry on \#
    incomprehensible errands, that accounted for the growing wretchedness of his expression.

    “Where are you going with that coat?”

    “To your room, sir.”

    “Is there another shower coming?”

    “I’m sure I don’t know, sir. Shall I go up again and see, sir?”

    “No! never mind.”

    My object was attained, as of course my other self in there would have heard everything that passed. During this interlude \#
    my two officers never raised their eyes off their respective plates; but the lip of that confounded cub, the second mate, \#
    quivered visibly.

    I expected the steward to hook my coat on and come out at once. He was very slow about it; but I dominated my nervousness \#
    sufficiently not to shout after him. Suddenly I became aware (it could be heard plainly enough) that the fellow for some \#
    reason or other was opening the door of the bath-room. It was the end. The place was literally not big enough to swing a \#
    cat in. My voice died in my throat and I went stony all over. I expected to hear a yell of surprise and terror, and made a \#
    movement, but had not the strength to get on my legs. Everything remained still. Had my second self taken the poor wretch \#
    by the throat? I don’t know what I would have done next moment if I had not seen the steward come out of my room, close the \#
    door, and then stand quietly by the sideboard.

    “Saved,” I thought. “But, no! Lost! Gone! He was gone!”

    I laid my knife and fork down and leaned back in my chair. My head swam. After a while, when sufficiently recovered to \#
    speak in a steady voice, I instructed my mate to put the ship round at eight o’clock himself.

    “I won’t come on deck,” I went on. “I think I’ll turn in, and unless the wind shifts I don’t want to be disturbed before \#
    midnight. I feel a bit seedy.”

    “You did look middling bad a little while ago,” the chief mate remarked without showing any great concern.

    They both went out, and I stared at the steward clearing the table. There was nothing to be read on that wretched man’s \#
    face. But why did he avoid my eyes I asked myself. Then I thought I should like to hear the sound of his voice.

    “Steward!”

    “Sir!” Startled as usual.
    """#

  /// A. Chekhov, In the Ravine (1900), an English translation.
  static let inTheRavine = #"""
    “Oh well, I am not a fright myself. All of us Tsybukins are handsome, I
    may say.”

    The village of Torguevo was near the town. Half of it had lately been incorporated into the town, the other half remained a \#
    village. In the first--the town half--there was a widow living in her own little house; she had a sister living with her \#
    who was quite poor and went out to work by the day, and this sister had a daughter called Lipa, a girl who went out to \#
    work, too. People in Torguevo were already talking about Lipa’s good looks, but her terrible poverty put everyone off; \#
    people opined that some widower or elderly man would marry her regardless of her poverty, or would perhaps take her to \#
    himself without marriage, and that her mother would get enough to eat living with her. Varvara heard about Lipa from the \#
    matchmakers, and she drove over to Torguevo.

    Then a visit of inspection was arranged at the aunt’s, with lunch and wine all in due order, and Lipa wore a new pink dress \#
    made on purpose for this occasion, and a crimson ribbon like a flame gleamed in her hair. She was pale-faced, thin, and \#
    frail, with soft, delicate features sunburnt from working in the open air; a shy, mournful smile always hovered about her \#
    face, and there was a childlike look in her eyes, trustful and curious.

    She was young, quite a little girl, her bosom still scarcely perceptible, but she could be married because she had reached \#
    the legal age. She really was beautiful, and the only thing that might be thought unattractive was her big masculine hands \#
    which hung idle now like two big claws.

    “There is no dowry--and we don’t think much of that,” said Tsybukin to the aunt. “We took a wife from a poor family for our \#
    son Stepan, too, and now we can’t say too much for her. In house and in business alike she has hands of gold.”

    Lipa stood in the doorway and looked as though she would say: “Do with me as you will, I trust you,” while her mother \#
    Praskovya the work-woman hid herself in the kitchen numb with shyness. At one time in her youth a merchant whose floors she \#
    was scrubbing stamped at her in a rage; she went chill with terror and there always was a feeling of fear at the bottom of \#
    her heart. When she was frightened her arms and legs trembled and her cheeks twitched. Sitting in the kitchen she tried to \#
    hear what the visitors were saying, and she kept crossing herself, pressing her fingers to her forehead, and gazing at the \#
    ikons. Anisim, slightly drunk, opened the door into the kitchen and said in a free-and-easy way:

    “Why are you sitting in here, precious mamma? We are dull without you.”

    And Praskovya, overcome with timidity, pressing her hands to her lean,
    wasted bosom, said:

    “Oh, not at all.... It’s very kind of you.”

    After the visit of inspection the wedding day was fixed. Then Anisim walked about the rooms at home whistling, or suddenly \#
    thinking of something, would fall to brooding and would look at the floor fixedly, silently, as though he would probe to \#
    the depths of the earth. He expressed neither pleasure that he was to be married, married so soon, on Low Sunday, nor a \#
    desire to see his bride, but simply went on whistling. And it was evident he was only getting married because his father \#
    and stepmother wished him to, and because it was the custom in the village to marry the son in order to have a woman to \#
    help in the house. When he went away he seemed in no haste, and behaved altogether not as he had done on previous \#
    visits--was particularly free and easy, and talked inappropriately.
    """#
}
